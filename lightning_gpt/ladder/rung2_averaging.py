"""Rung 2, averaging: a position knows its past as the plain average of it. No position is more telling than another.

Its loss is worse than rung 1's (2.8250 against 2.4881 nats): the average takes in up to block_size characters and
drowns the one that matters most, the current one, which rung 1 has for itself; and there is no way to weigh it more.
Rung 3 is that way.

The lecture writes the same average three ways, each one step nearer to attention.
Lecture: 42:13, https://youtu.be/kCc8FmEb1nY?t=2533
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network, NetworkConfig, whole


def causal_average_loops(x: Tensor) -> Tensor:
    """x (B, T, C) to (B, T, C): out[b, t] = mean of x[b, 0..t], as the sentence says it and as slowly."""
    out = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            out[b, t] = x[b, : t + 1].mean(dim=0)  # (C,)
    return out


def causal_average_matrix(x: Tensor) -> Tensor:
    """x (B, T, C) to (B, T, C): the same sums as one product with a lower triangular matrix of rows that add to 1."""
    T = x.shape[-2]
    weights = torch.ones(T, T, dtype=x.dtype, device=x.device).tril()
    weights = weights / weights.sum(dim=1, keepdim=True)  # (T, T)
    return weights @ x  # (T, T) @ (B, T, C) -> (B, T, C)


def causal_average_softmax(x: Tensor) -> Tensor:
    """x (B, T, C) to (B, T, C): the same weights as the softmax of zeros with the future at minus infinity.

    This is the form that attention keeps: replace the zeros by scores, and the average depends on the data.
    """
    T = x.shape[-2]
    future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(diagonal=1)
    scores = torch.zeros(T, T, dtype=x.dtype, device=x.device).masked_fill(future, float("-inf"))
    return scores.softmax(dim=-1) @ x  # (B, T, C)


@dataclass(frozen=True)
class AveragingConfig(NetworkConfig):
    """The sizes of rungs 2 and 3.

    Args:
        n_embd: channels C.
    """

    n_embd: int = whole(32)


class Averaging(Network):
    """Characters and positions embedded, the past averaged, the average projected to logits."""

    config: AveragingConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = AveragingConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(block_size, config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(causal_average_softmax(x))  # (B, T, V)
