"""From logits to one choice. Pure functions of logits (..., V); none of them knows a network or a text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_gpt.model.sampling import Sampling


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """logits (..., V) with all but the k largest of each row at minus infinity (ties with the k-th stay)."""
    threshold = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]  # (..., 1)
    return logits.masked_fill(logits < threshold, float("-inf"))


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """logits (..., V) with all but the nucleus at minus infinity: the fewest tokens whose probabilities reach p.

    "The Curious Case of Neural Text Degeneration", Holtzman et al. 2019. The likeliest token always stays.
    """
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # mass of all that is likelier, (..., V)
    ordered = ordered.masked_fill(before >= p, float("-inf"))
    return torch.empty_like(logits).scatter_(-1, order, ordered)


def next_token(
    logits: Tensor,
    sampling: Sampling = Sampling(),
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
) -> Tensor:
    """Draws one token a row: logits (B, V) to ids (B, 1).

    Args:
        logits: (B, V).
        sampling: its temperature, then its top_k, then its top_p are applied.
        generator: where randomness comes from, one for all rows or one for each; None: torch's global one.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    if sampling.temperature != 1:  # the largest at 0 first: whatever it is then divided by, nothing overflows
        logits = (logits - logits.amax(dim=-1, keepdim=True)) / max(sampling.temperature, 1e-30)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None and sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    probabilities = logits.softmax(dim=-1)
    if isinstance(generator, Sequence):
        rows = zip(probabilities, generator, strict=True)
        return torch.stack([torch.multinomial(row, num_samples=1, generator=own) for row, own in rows])
    return torch.multinomial(probabilities, num_samples=1, generator=generator)
