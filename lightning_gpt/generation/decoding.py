"""The decoding loop: a network writes one character after another. Knows ids only, no text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lightning_gpt.errors import UserError
from lightning_gpt.generation.filters import next_character
from lightning_gpt.ladder import Cache, CachedNetwork, Network


def decode(
    network: Network,
    ids: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    cached: bool = True,
) -> Iterator[Tensor]:
    """Continues each row of ids (B, T): yields the next ids (B, 1), `max_new_tokens` times.

    With a cache, the prompt is read in one pass and each character costs one character's work, as long as the text
    fits into a block. When the block is full, its later half is read anew, in one pass, and the cache goes on from
    there: behind the first block the network sees the last block_size/2 to block_size characters, and the cost of a
    character stays, on average, what it was. Without a cache, it sees the last block_size characters at each, and
    reads them all each time. Up to block_size the text is the same. Rungs 1 to 7 have no cache.

    The network is in eval mode whenever it runs, and back in the mode it was in between two characters, so a caller
    that stops early leaves nothing behind; with a generator given, torch's global random state is not touched.

    Args:
        network: any rung.
        ids: (B, T) of at least one character, on the network's device.
        max_new_tokens: how many characters to write.
        temperature: see `next_character`, as for `top_k`, `top_p` and `generator`.
        cached: with a cache, where the network can.

    Raises:
        UserError: an option out of its range, or nothing to continue.
    """
    check_options(max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p)
    if ids.shape[1] == 0:
        raise UserError("there is nothing to continue: give at least one character")

    def characters() -> Iterator[Tensor]:
        reader = Reader(network, ids, cached)
        for _ in range(max_new_tokens):
            drawn = next_character(reader.logits(), temperature, top_k, top_p, generator)  # (B, 1)
            reader.append(drawn)
            yield drawn

    return characters()  # the checks above have been made now, not at the first character


class Reader:
    """A batch of texts and the network's opinion of what comes next.

    Args:
        network: any rung.
        ids: (B, T), the texts so far, T at least 1.
        cached: see `decode`.
    """

    def __init__(self, network: Network, ids: Tensor, cached: bool = True) -> None:
        self.network = network
        self.ids = ids[:, -network.block_size :]  # what the network may look at
        self.cached = cached
        self.cache: Cache | None = None

    def append(self, ids: Tensor) -> None:
        """One more character (B, 1) of each text."""
        self.ids = torch.cat([self.ids, ids], dim=1)[:, -self.network.block_size :]

    def logits(self) -> Tensor:
        """(B, V), fp32, of the next character."""
        # forward itself, not the call: a compiled call would compile anew for each length
        with torch.inference_mode(), evaluating(self.network):
            if isinstance(self.network, CachedNetwork) and self.cached:
                logits = self.network.forward(self._unread(), self.cache)
            else:
                logits = self.network.forward(self.ids)
            return logits[:, -1].float()

    def _unread(self) -> Tensor:
        """The ids that are not in the cache yet: the last one, or all of them for a new one."""
        size = self.network.block_size
        if self.cache is not None and self.cache.length < size:
            return self.ids[:, -1:]
        if self.cache is not None:
            self.ids = self.ids[:, -max(1, size // 2) :]
        self.cache = Cache(size)
        return self.ids


def for_decoding(network: Network) -> Network:
    """The same network, its matrices laid out in memory as one character's products read them: a tenth faster on a CPU.

    Shapes and values stay, only the strides change.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = module.weight.data.t().contiguous().t()
    return network


def check_options(
    max_new_tokens: int = 1, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> None:
    """Raises UserError for the first option that is out of its range."""
    if max_new_tokens < 0:
        raise UserError(f"max_new_tokens must be at least 0, not {max_new_tokens}")
    if not 0 <= temperature < float("inf"):
        raise UserError(f"temperature must be 0 (greedy) or above, not {temperature}")
    if top_k is not None and top_k < 1:
        raise UserError(f"top_k must be at least 1, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise UserError(f"top_p must be above 0 and at most 1, not {top_p}")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; after it, each of its modules in the mode it was in."""
    in_training = [module for module in network.modules() if module.training]
    if in_training:
        network.eval()
    try:
        yield
    finally:
        for module in in_training:
            module.training = True
