"""What a network keeps of the characters it has read, so that the next one costs one character's work, not a block's.

Attention needs the earlier characters' keys and values again, never their queries: "Fast Transformer Decoding",
Shazeer 2019.
"""

import torch
from torch import Tensor, nn


class Cache:
    """A batch of texts as far as a network has read them; it fills an empty one at once, then character by character.

    Attributes:
        capacity: characters at most, the network's block_size.
        length: characters read so far.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._kept: dict[nn.Module, list[Tensor]] = {}
        self._inner: dict[nn.Module, Cache] = {}

    def extend(self, owner: nn.Module, *new: Tensor) -> list[Tensor]:
        """What a module makes of T new characters, each tensor (..., T, D), behind what it made of those before.

        Returns:
            For each tensor, (..., length + T, D).
        """
        start, end = self.length, self.length + new[0].shape[-2]
        assert start == 0 or end == start + 1, (
            "behind others, characters come singly: they need no mask among themselves"
        )
        if owner not in self._kept:
            self._kept[owner] = [
                torch.empty(*x.shape[:-2], self.capacity, x.shape[-1], dtype=x.dtype, device=x.device) for x in new
            ]
        kept = self._kept[owner]
        for buffer, x in zip(kept, new, strict=True):
            buffer[..., start:end, :] = x
        return [buffer[..., :end, :] for buffer in kept]

    def inner(self, owner: nn.Module) -> "Cache":
        """The cache of the same texts that a network inside a network has for itself."""
        return self._inner.setdefault(owner, Cache(self.capacity))
