"""The cache: a network goes on reading where it stopped. No rung; rung 8 is the first network that can do it.

To write a text, a network predicts one character at a time, and each prediction needs the whole context. But what
a causal network computes for a position never changes when more characters follow: the future does not move the past.
Of the earlier positions attention needs only keys and values, never their queries: saved, they make the next character
cost one position's work, not T positions' ("Fast Transformer Decoding", Shazeer 2019).

That ends when the text is longer than block_size. The context is then a window that slides, its first character falls
out, and every other one moves to an earlier position, with another embedding and another past: nothing saved is true
any more. To read the whole window anew for each character would cost T positions' work again, so `decode` reads its
later half anew, in one pass, goes on with the cache until the block is full, and does so again: on average a character
costs what it cost before, and the network sees between block_size / 2 and block_size of them.
"""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network


class Cache:
    """Keys and values of a batch of texts, as far as a network has read them.

    Characters come in any number at once: to write a text, first its beginning, then one by one.

    Attributes:
        capacity: characters at most, the network's block_size.
        length: characters read so far.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._buffers: dict[nn.Module, list[Tensor]] = {}
        self._members: dict[nn.Module, Cache] = {}

    def extend(self, layer: nn.Module, *new: Tensor) -> list[Tensor]:
        """Appends a layer's tensors for T new positions, each (..., T, D), and returns all so far.

        Returns:
            For each tensor, (..., length + T, D). The network itself adds T to `length` when all its layers are done.
        """
        start, end = self.length, self.length + new[0].shape[-2]
        if layer not in self._buffers:
            self._buffers[layer] = [
                torch.empty(*x.shape[:-2], self.capacity, x.shape[-1], dtype=x.dtype, device=x.device) for x in new
            ]
        for buffer, x in zip(self._buffers[layer], new, strict=True):
            buffer[..., start:end, :] = x
        return [buffer[..., :end, :] for buffer in self._buffers[layer]]

    def buffers(self, layer: nn.Module) -> list[Tensor]:
        """Returns a layer's tensors as long as they may get, (..., capacity, D) each, for who fills them himself."""
        return self._buffers[layer]

    def visible(self, T: int, device: torch.device, window: int | None = None) -> Tensor:
        """Returns what each of T new positions may look at, (T, length + T): itself and all before it, or `window`."""
        positions = torch.arange(self.length + T, device=device)
        own = positions[self.length :, None]
        seen = positions <= own
        return seen if window is None else seen & (positions > own - window)

    def member(self, network: nn.Module) -> "Cache":
        """Returns the cache that a member of an ensemble has for itself, of the same texts."""
        return self._members.setdefault(network, Cache(self.capacity))


class CachedNetwork(Network):
    """A network that can go on reading where it stopped."""

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) to logits (B, T, V); with a cache, ids follow those that it holds, and are added to it."""
        raise NotImplementedError
