"""Rung 3, one head: the average of the past becomes data-dependent. One head only, nothing is done with what it finds.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(D)) V

    Q (B, T, D)  what each position looks for       K (B, S, D)  what each position holds
    V (B, S, D)  what it tells if it is looked at   weights (B, T, S): each row sums to 1

"Attention Is All You Need", Vaswani et al. 2017, equation 1. Lecture: 1:02.
"""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network


class Head(nn.Module):
    """One head of attention: x (B, T, C) to (B, T, D), a weighted average of values.

    Why the scale: for queries and keys of unit variance the product q·k has variance D (about 16 at head size 16),
    and softmax of such numbers is nearly one-hot from the first step. Divided by sqrt(D) its variance is about 1.

    Args:
        n_embd: channels C of the input.
        head_size: D.
        causal: a position sees itself and its past only. False: all see all, as in an encoder.
        scaled: divide the scores by sqrt(D).
    """

    def __init__(self, n_embd: int, head_size: int, *, causal: bool = True, scaled: bool = True) -> None:
        super().__init__()
        self.key = nn.Linear(n_embd, head_size, bias=False)
        self.query = nn.Linear(n_embd, head_size, bias=False)
        self.value = nn.Linear(n_embd, head_size, bias=False)
        self.causal = causal
        self.scale = head_size**-0.5 if scaled else 1.0

    def weights(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """x (B, T, C), and source (B, S, C) if keys come from another sequence, to weights (B, T, S), rows of sum 1."""
        k = self.key(x if source is None else source)  # (B, S, D)
        q = self.query(x)  # (B, T, D)
        scores = q @ k.mT * self.scale  # (B, T, D) @ (B, D, S) -> (B, T, S)
        if self.causal:
            future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(diagonal=1)
            scores = scores.masked_fill(future, float("-inf"))  # else each position reads its own answer
        return scores.softmax(dim=-1)

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """x (B, T, C) to (B, T, D). With source (B, S, C), keys and values are its own: cross-attention."""
        weights = self.weights(x, source)
        return weights @ self.value(x if source is None else source)  # (B, T, S) @ (B, S, D)


class OneHead(Network):
    """Rung 2 with its average replaced by one head as wide as the embedding. Zero queries or keys: an average again."""

    def __init__(self, vocab_size: int, block_size: int, n_embd: int = 32) -> None:
        super().__init__(vocab_size, block_size, n_embd=n_embd)
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(block_size, n_embd)
        self.head = Head(n_embd, n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def embed(self, ids: Tensor) -> Tensor:
        """ids (B, T) to what the head reads, (B, T, C)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        return self.token_embedding(ids) + self.position_embedding(positions)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        return self.lm_head(self.head(self.embed(ids)))
