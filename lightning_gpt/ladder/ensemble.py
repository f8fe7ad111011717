"""Beyond the ladder: several networks are asked together, since each of them learned other things by heart."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.cache import Cache
from lightning_gpt.ladder.network import CachedNetwork
from lightning_gpt.ladder.rung9_modern import ModernGPT


class Ensemble(CachedNetwork):
    """The mean of what `n_member` networks expect next: "deep ensembles", Lakshminarayanan et al. 2017.

    On a text too short for more passes or a larger network, the better use of more time: "Pre-training under infinite
    compute", Kim et al. 2025. In training each block of a batch is read by one member only: the loss is the mean of the
    members' own, and a batch costs what it costs one of them. They differ by their first weights and by their blocks.

    Args:
        vocab_size: distinct characters V.
        block_size: longest context T.
        n_member: networks.
        sizes: of each of them, as for `ModernGPT`.
    """

    def __init__(self, vocab_size: int, block_size: int, n_member: int = 3, **sizes: Any) -> None:
        first = ModernGPT(vocab_size, block_size, **sizes)
        super().__init__(**first.sizes, n_member=n_member)  # type: ignore[arg-type]
        self.members = nn.ModuleList(
            [first, *(ModernGPT(vocab_size, block_size, **sizes) for _ in range(n_member - 1))]
        )
        self.n_member = n_member

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
            # behind a cache forward itself, not the call: a compiled call would compile anew for each length
            logits = member(ids) if cache is None else member.forward(ids, cache.inner(member))
            expected.append(logits.float().log_softmax(dim=-1))
        if cache is not None:
            cache.length += ids.shape[1]
        # probabilities are averaged, not logits: what one member holds for possible stays possible
        return torch.stack(expected).logsumexp(dim=0) - math.log(len(expected))
