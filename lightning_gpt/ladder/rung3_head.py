"""Rung 3, one head: the average of the past becomes data-dependent. One head only, nothing is done with what it finds.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(D)) V

    Q (B, T, D)  what each position looks for       K (B, T, D)  what each position holds
    V (B, T, D)  what it passes on if looked at     weights (B, T, T): each row sums to 1

"Attention Is All You Need", Vaswani et al. 2017, equation 1.
Lecture: 1:02:00, https://youtu.be/kCc8FmEb1nY?t=3720

What the lecture notes beside it (1:11:38 to 1:19:11: encoders, cross-attention, the scale) stands at the end of this
file, as variations of the head.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Attention, Network
from lightning_gpt.ladder.rung2_averaging import AveragingConfig


class Head(Attention):
    """One causal head: x (B, T, C) to (B, T, D), a weighted average of the values of each position and its past.

    Why the scale: for queries and keys of unit variance the product q·k has variance D (about 16 at head size 16),
    and softmax of such numbers is nearly one-hot from the first step. Divided by sqrt(D) its variance is about 1.

    Args:
        n_embd: channels C of the input.
        head_size: D.
    """

    def __init__(self, n_embd: int, head_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(n_embd, head_size, bias=False)
        self.query = nn.Linear(n_embd, head_size, bias=False)
        self.value = nn.Linear(n_embd, head_size, bias=False)
        self.scale = head_size**-0.5

    def attention_weights(self, x: Tensor) -> Tensor:
        """x (B, T, C) to weights (B, T, T): row t is what position t looks at, and sums to 1."""
        T = x.shape[1]
        k = self.key(x)  # (B, T, D)
        q = self.query(x)  # (B, T, D)
        scores = q @ k.mT * self.scale  # (B, T, D) @ (B, D, T) -> (B, T, T)
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(diagonal=1)
        scores = scores.masked_fill(future, float("-inf"))  # else each position reads its own answer
        return scores.softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, D)."""
        return self.attention_weights(x) @ self.value(x)  # (B, T, T) @ (B, T, D)


class SingleHeadGPT(Network):
    """Rung 2 with its average replaced by one head as wide as the embedding.

    With queries or keys of zero all scores are equal, and the head is rung 2's average again.
    """

    config: AveragingConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = AveragingConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(block_size, config.n_embd)
        self.head = Head(config.n_embd, config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.head(x))  # (B, T, V)


# ------------------------------------------------------------- variations of the head; no rung above is built on them


def cross_attention_weights(head: Head, x: Tensor, source: Tensor) -> Tensor:
    """x (B, T, C) and source (B, S, C) to weights (B, T, S), without a mask: all of the source is there already.

    Queries come from one text, keys and values from another, as when a translator looks at the original. Source and x
    the same: self-attention of an encoder, which reads a text but does not continue it.
    """
    return (head.query(x) @ head.key(source).mT * head.scale).softmax(dim=-1)


def cross_attention(head: Head, x: Tensor, source: Tensor) -> Tensor:
    """x (B, T, C) and source (B, S, C) to (B, T, D), averages of the source's values."""
    return cross_attention_weights(head, x, source) @ head.value(source)  # (B, T, S) @ (B, S, D)


class UnscaledHead(Head):
    """A head whose scores are not divided by sqrt(D), as the lecture first writes it."""

    def __init__(self, n_embd: int, head_size: int) -> None:
        super().__init__(n_embd, head_size)
        self.scale = 1.0
