"""What every rung of the ladder is. Holds no layer and no mathematics: those are the rungs themselves.

Legend of all files here: B batch, T time (positions), C channels (n_embd), H heads, D head size, V vocabulary.
"""

from torch import Tensor, nn

from lightning_gpt.ladder.cache import Cache


class Network(nn.Module):
    """Characters in, logits out: ids (B, T) of integers in [0, V) to logits (B, T, V). The loss lives elsewhere.

    Every rung takes `vocab_size` and `block_size` first and gives defaults to its other sizes.

    Attributes:
        sizes: all that the constructor was given, as plain numbers: `type(net)(**net.sizes)` has the same shape,
            which is how a checkpoint is turned back into a network.
        n_member: networks inside, each of which reads its share of a training batch; 1 but for an `Ensemble`.
    """

    n_member = 1

    def __init__(self, vocab_size: int, block_size: int, **sizes: int | float | bool | None) -> None:
        super().__init__()
        for name, size in {"vocab_size": vocab_size, "block_size": block_size, **sizes}.items():
            if name.startswith(("n_", "vocab", "block")) and (not isinstance(size, int) or size < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, not {size}")
        self.vocab_size = vocab_size
        self.block_size = block_size
        self.sizes = {"vocab_size": vocab_size, "block_size": block_size, **sizes}

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T), T at most block_size, to logits (B, T, V)."""
        raise NotImplementedError


class CachedNetwork(Network):
    """A network that can read on where it stopped."""

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) to logits (B, T, V); with a cache, ids come behind those it has read, and are added to it."""
        raise NotImplementedError
