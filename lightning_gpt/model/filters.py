"""From logits to one choice. Pure functions of logits (..., V); none of them knows a network or a text."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.model.sampling import Sampling


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """logits (..., V) with all but the k largest of each row at minus infinity (ties with the k-th stay)."""
    if k >= logits.shape[-1]:
        return logits
    threshold = logits.topk(k, dim=-1).values[..., -1:]  # (..., 1)
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

    By inversion: u is uniform in [0, 1), and drawn is the first token, in the order of ids, up to which the
    probabilities sum to more than u. A text so takes one number for each token, and whoever has the same numbers
    writes the same text, be it in another language: from a CPU generator of seed s, u is (a mod 2^21 · 2^32 + b) / 2^53
    with a and b the next two outputs of MT19937 (Matsumoto and Nishimura 1998) begun with s mod 2^32.

    Args:
        logits: (B, V).
        sampling: its temperature, then its top_k, then its top_p are applied.
        generator: where u comes from, on the CPU: one for all rows or one for each; None: torch's own, of the CPU.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    # on the CPU, so that a seed's text does not depend on the device; in NumPy, whose calls are the shorter ones
    scores = logits.float().cpu().numpy()
    scores = scores - scores.max(axis=-1, keepdims=True)  # the largest is 0: whatever it is divided by, it stays finite
    if sampling.temperature != 1:
        scores /= max(sampling.temperature, 1e-30)
    if sampling.top_k is not None:
        scores = keep_top_k(torch.from_numpy(scores), sampling.top_k).numpy()
    if sampling.top_p is not None and sampling.top_p < 1:
        scores = keep_top_p(torch.from_numpy(scores), sampling.top_p).numpy()
    sums = np.exp(scores).cumsum(axis=-1, dtype=np.float64)  # (B, V): probabilities, but for a factor
    if isinstance(generator, Sequence):
        u = torch.cat([torch.rand(1, 1, generator=own, dtype=torch.float64) for own in generator])
    else:
        u = torch.rand(len(sums), 1, generator=generator, dtype=torch.float64)
    # of the sum, below which u times it stays, and so the last token that may be drawn
    drawn = (sums <= u.numpy() * sums[:, -1:]).sum(axis=-1, keepdims=True)
    return torch.from_numpy(drawn).to(logits.device)
