"""Beyond the ladder: several networks answer together, since each of them has overfitted in another way."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.cache import Cache, CachedNetwork
from lightning_gpt.ladder.network import Attention, whole
from lightning_gpt.ladder.rung9_modern import ModernConfig, ModernGPT


@dataclass(frozen=True)
class EnsembleConfig(ModernConfig):
    """The sizes of each member, and how many there are.

    Args:
        n_member: networks.
    """

    n_member: int = whole(3)


class Ensemble(CachedNetwork):
    """Averages the probabilities of `n_member` networks: "deep ensembles", Lakshminarayanan et al. 2017.

    On a text too short for more passes or a larger network, the better use of more time: "Pre-training under infinite
    compute", Kim et al. 2025. In training each block of a batch is read by one member only: the loss is the mean of the
    members' own, and a batch costs what it costs one of them. They differ by their first weights and by their blocks.
    """

    config: EnsembleConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = EnsembleConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        each = {name: getattr(config, name) for name in ModernGPT.size_names()}
        self.members = nn.ModuleList(ModernGPT(**each) for _ in range(config.n_member))
        self.n_member = config.n_member

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles each member: they are the same code, which is compiled once. See `torch.nn.Module.compile`."""
        for member in self.members:
            member.compile(*args, **kwargs)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) to logits (B, T, V); see `CachedNetwork`. In training, B is at least n_member."""
        if self.training:
            parts = ids.tensor_split(len(self.members))  # rows
            return torch.cat([member(part) for member, part in zip(self.members, parts, strict=True)])
        expected = []
        for member in self.members:
            # with a cache forward itself, not the call: a compiled call would compile anew for each length
            logits = member(ids) if cache is None else member.forward(ids, cache.member(member))
            expected.append(logits.float().log_softmax(dim=-1))
        if cache is not None:
            cache.length += ids.shape[1]
        # probabilities are averaged, not logits: what one member thinks possible stays possible
        return torch.stack(expected).logsumexp(dim=0) - math.log(len(expected))

    def freeze(self, n_block: int) -> None:
        """Freezes the lowest blocks of each member."""
        for member in self.members:
            assert isinstance(member, ModernGPT)
            member.freeze(n_block)

    def first(self) -> ModernGPT:
        """Returns the member that stands for all where only one can be shown."""
        member = self.members[0]
        assert isinstance(member, ModernGPT)
        return member

    def embedding(self) -> nn.Embedding:
        """Returns the first member's table (V, C)."""
        return self.first().embedding()

    def attention_layers(self) -> list[Attention]:
        """Lists the first member's layers of attention."""
        return self.first().attention_layers()
