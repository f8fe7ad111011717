"""The contract of every network, and its sizes. Holds no mathematics: that is in the rungs themselves.

Legend of all files here: B batch, T time (positions), C channels (n_embd), H heads, D head size, V vocabulary.
`x.mT` is x with its last two dimensions exchanged.
"""

import dataclasses
from dataclasses import MISSING, asdict, dataclass, field
from typing import Any, get_type_hints

from torch import Tensor, nn


def whole(default: Any = MISSING, divides: str | None = None) -> Any:
    """Declares a size that is a whole number of at least 1.

    Args:
        default: where none is given; without it the size is required.
        divides: name of a size that must be a multiple of this one.
    """
    return field(default=default, metadata={"main": True, "whole": True, "divides": divides})


def share(default: float) -> Any:
    """Declares a size that is a share, in [0, 1)."""
    return field(default=default, metadata={"main": True, "share": True})


@dataclass(frozen=True)
class NetworkConfig:
    """The sizes that every network has. Each rung adds its own, with their defaults, meaning and checks.

    Args:
        vocab_size: distinct characters V.
        block_size: longest context T.

    Raises:
        ValueError: a size that no network can have.
    """

    vocab_size: int = whole()
    block_size: int = whole()

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            size = getattr(self, f.name)
            if f.metadata.get("whole") and (type(size) is not int or size < 1):
                raise ValueError(f"{f.name} must be a whole number of at least 1, not {size}")
            if f.metadata.get("share") and not (isinstance(size, int | float) and 0.0 <= size < 1.0):
                raise ValueError(f"{f.name} must be in [0, 1), not {size}")
        for f in dataclasses.fields(self):
            multiple = f.metadata.get("divides")
            if multiple and getattr(self, multiple) % getattr(self, f.name):
                raise ValueError(
                    f"{multiple} {getattr(self, multiple)} is not divisible by {f.name} {getattr(self, f.name)}"
                )

    def main(self) -> dict[str, int | float]:
        """Returns the sizes by which networks of all kinds are compared: numbers and shares, no options."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata.get("main")}

    def shares(self) -> dict[str, float]:
        """Returns the sizes that are shares: they are of the training, and no weight depends on them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata.get("share")}


class Attention(nn.Module):
    """A layer in which positions attend to each other; its weights can be read."""

    def attention_weights(self, x: Tensor) -> Tensor:
        """x (B, T, C) to the weights of each head (B, H, T, T), or (B, T, T) of a single one; rows sum to 1."""
        raise NotImplementedError


class Block(nn.Module):
    """A layer of the residual path. Its matrices are the network's hidden ones."""


class Network(nn.Module):
    """Maps characters to logits: ids (B, T), integers in [0, V), to (B, T, V). The loss lives elsewhere.

    A network's constructor takes `vocab_size`, `block_size` and, by name, the other sizes of its config.

    Attributes:
        config: its sizes; a network's annotation says of which dataclass.
        n_member: networks inside, each of which reads its share of a training batch; 1 except in an `Ensemble`.
    """

    config: NetworkConfig
    n_member = 1

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = config.vocab_size
        self.block_size = config.block_size

    @classmethod
    def config_class(cls) -> type[NetworkConfig]:
        """The dataclass of its sizes."""
        found: type[NetworkConfig] = get_type_hints(cls)["config"]
        return found

    @classmethod
    def size_names(cls) -> list[str]:
        """Names of all its sizes, in the config's order."""
        return [f.name for f in dataclasses.fields(cls.config_class())]

    @classmethod
    def default_sizes(cls) -> dict[str, int | float | bool | None]:
        """The sizes that need not be given, as plain values: what a younger option is in an older checkpoint."""
        fields = dataclasses.fields(get_type_hints(cls)["config"])
        return {f.name: f.default for f in fields if f.default is not MISSING}

    @property
    def sizes(self) -> dict[str, int | float | bool | None]:
        """The config as plain values; `type(net)(**net.sizes)` has the same shape, as a checkpoint needs it."""
        return asdict(self.config)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T), T at most block_size, to logits (B, T, V)."""
        raise NotImplementedError

    def embedding(self) -> nn.Embedding:
        """Returns the table of the characters' vectors (V, C)."""
        assert isinstance(self.token_embedding, nn.Embedding)
        return self.token_embedding

    def attention_layers(self) -> list[Attention]:
        """Lists the layers of attention from the input on; of heads inside one of them, only the whole."""
        layers = [module for module in self.modules() if isinstance(module, Attention)]
        inside = {part for layer in layers for part in layer.modules() if part is not layer}
        return [layer for layer in layers if layer not in inside]

    def freeze(self, n_block: int) -> None:
        """Freezes the lowest `n_block` blocks: their weights stay what they are in training.

        Raises:
            ValueError: it has fewer.
        """
        blocks = [module for module in self.modules() if isinstance(module, Block)]
        if not 0 <= n_block <= len(blocks):
            raise ValueError(f"it must be from 0 to the {len(blocks)} blocks that there are, not {n_block}")
        for block in blocks[:n_block]:
            block.requires_grad_(False)

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Lists the matrices of its blocks, from the input on: no embeddings, head or vectors. None without blocks."""
        blocks = (module for module in self.modules() if isinstance(module, Block))
        return [p for block in blocks for p in block.parameters() if p.ndim == 2]
