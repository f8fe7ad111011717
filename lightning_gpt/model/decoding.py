"""The decoding loop: a network writes one token after another. Knows ids only, no text."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Cache, CachedNetwork, Network
from lightning_gpt.model.decode_step import Step, decode_step
from lightning_gpt.model.filters import next_token
from lightning_gpt.model.packed import packable, packed
from lightning_gpt.model.sampling import Sampling


def decode(
    network: Network,
    ids: Tensor,
    sampling: Sampling,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
) -> Iterator[Tensor]:
    """Continues each row of ids (B, T): yields the next ids (B, 1), `sampling.max_new_tokens` times.

    With a cache, the prompt is read in one pass and each token costs one token's work, as long as the text fits into a
    block. Then comes a sliding window: when the block is full, its later half is read anew, in one pass, and the cache
    goes on from there. So after the first block the network sees the last block_size/2 to block_size tokens, and the
    mean cost of a token stays what it was. Without a cache it sees the last block_size tokens at each, and reads all of
    them each time. Up to block_size the text is the same. Rungs 1 to 7 have no cache.

    The weights must stay what they are meanwhile: some are packed once. The network is in eval mode whenever it runs,
    and back in the mode it was in between two tokens, so a caller that stops early leaves nothing changed; with a
    generator given, torch's global random state is not touched.

    Args:
        network: any rung.
        ids: (B, T) of at least one token, on the network's device.
        sampling: its `seed` and `stop` are the caller's to heed.
        generator: see `next_token`.

    Raises:
        UserError: nothing to continue.
    """
    if ids.shape[1] == 0:
        raise UserError("there is nothing to continue: give at least one character")

    def tokens() -> Iterator[Tensor]:
        reader = Reader(network, ids, sampling.cached, sampling.bf16)
        for _ in range(sampling.max_new_tokens):
            with np.errstate(all="ignore"):  # a network that has diverged writes nonsense, as with PyTorch: no warnings
                drawn = next_token(reader.logits(), sampling, generator)  # (B, 1)
            reader.append(drawn)
            yield drawn

    return tokens()  # the check above has been made now, not at the first token


class Reader:
    """Reads a batch of texts with a network, with or without a cache, for the logits of what comes next.

    Args:
        network: any rung.
        ids: (B, T), the texts so far, T at least 1.
        cached: see `decode`.
        bf16: multiply in bf16.
    """

    def __init__(self, network: Network, ids: Tensor, cached: bool = True, bf16: bool = False) -> None:
        self.network = network
        self.ids = [ids]  # (B, T), then (B, 1) each: joined only where they are read together
        self.cached = isinstance(network, CachedNetwork) and cached
        self.cache: Cache | None = None
        self.autocast = bf16
        self.step: Step | None = None
        if isinstance(network, CachedNetwork) and cached:
            dtype = torch.bfloat16 if bf16 else torch.float32
            if (len(ids) > 1 or bf16) and packable(network, dtype):
                self.network = network = packed(network, len(ids), dtype)
                self.autocast = False
            self.step = None if bf16 else decode_step(network, len(ids))
        self.modules = list(self.network.modules())

    def append(self, ids: Tensor) -> None:
        """Adds one more token (B, 1) to each text."""
        self.ids.append(ids)

    def logits(self) -> Tensor:
        """Logits (B, V) of the next token, in fp32."""
        cache = self.cache if self.cache is not None and self.cache.length < self.cache.capacity else None
        if cache is not None and self.step is not None:
            return self.step(self.ids[-1], cache)[:, -1]
        device = self.ids[0].device.type
        with torch.inference_mode(), eval_mode(self.modules), torch.autocast(device, torch.bfloat16, self.autocast):
            if cache is None or not isinstance(self.network, CachedNetwork):
                return self._read_block()[:, -1].float()
            return self.network.forward(self.ids[-1], cache)[:, -1].float()

    def _read_block(self) -> Tensor:
        """Reads the last block, or the later half of it for a cache that is full: logits (B, T, V)."""
        size = self.network.block_size
        ids = torch.cat(self.ids, dim=1)[:, -(size if self.cache is None else max(1, size // 2)) :]
        self.ids = [ids]
        # forward itself, not the call: a compiled call would compile anew for each length
        if not isinstance(self.network, CachedNetwork) or not self.cached:
            return self.network.forward(ids)
        self.cache = Cache(size)
        return self.network.forward(ids, self.cache)


def bytes_per_text(network: Network) -> int:
    """Computes the bytes that each text takes while it is written: random generator, context, cache, pointers."""
    sizes: dict[str, Any] = network.sizes
    members = network.n_member if isinstance(network, CachedNetwork) else 0
    attention, pointer = 2 * sizes.get("n_layer", 1) * sizes.get("n_embd", 0), sizes.get("pointer", 0)
    kept = 8 + members * 4 * (attention + pointer + (2 if pointer else 0))  # of each token
    compared = 2 * 4 * network.block_size if pointer else 0  # with all others, while a block is read: scores, weights
    return 5_000 + network.block_size * (kept + compared)


def for_decoding(network: Network) -> Network:
    """Lays out a network's matrices as products with one token read them fastest on a CPU: along their longer side.

    Shapes and values stay, only the strides change.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear) and module.out_features >= module.in_features:
            module.weight.data = module.weight.data.t().contiguous().t()
    return network


@contextmanager
def eval_mode(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Puts all modules of a network into eval mode inside the block, and each back into its mode after it."""
    in_training = [module for module in modules if module.training]
    for module in in_training:
        module.training = False
    try:
        yield
    finally:
        for module in in_training:
            module.training = True
