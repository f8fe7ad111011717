"""The decoding loop: a network writes one character after another. Knows ids only, no text."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lightning_gpt.errors import UserError
from lightning_gpt.generation.filters import next_character
from lightning_gpt.ladder import Network


def decode(
    network: Network,
    ids: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Continues each row of ids (B, T): yields the next ids (B, 1), `max_new_tokens` times.

    The network sees the last block_size characters. It is in eval mode whenever it runs, and back in the mode it was
    in between two characters, so a caller that stops early leaves nothing behind; with a generator given, torch's
    global random state is not touched.

    Args:
        network: any rung.
        ids: (B, T) of at least one character, on the network's device.
        max_new_tokens: how many characters to write.
        temperature: see `next_character`, as for `top_k`, `top_p` and `generator`.

    Raises:
        UserError: an option out of its range, or nothing to continue.
    """
    check_options(max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p)
    if ids.shape[1] == 0:
        raise UserError("there is nothing to continue: give at least one character")
    return _decode(network, ids, max_new_tokens, temperature, top_k, top_p, generator)


def _decode(
    network: Network,
    ids: Tensor,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    generator: torch.Generator | None,
) -> Iterator[Tensor]:
    for _ in range(max_new_tokens):
        ids = ids[:, -network.block_size :]  # (B, at most block_size)
        with torch.no_grad(), evaluating(network):
            # forward itself, not the call: a compiled call would compile anew for each length
            logits = network.forward(ids)[:, -1].float()  # (B, V)
        drawn = next_character(logits, temperature, top_k, top_p, generator)  # (B, 1)
        ids = torch.cat([ids, drawn], dim=1)
        yield drawn


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
