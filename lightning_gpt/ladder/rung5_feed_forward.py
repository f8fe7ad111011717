"""Rung 5, feed-forward: think after talking. Each position by itself; only attention carries news between them."""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung4_multi_head import MultiHeadAttention


class FeedForward(nn.Module):
    """One ReLU layer, position by position: x (B, T, C) to (B, T, C). Lecture: 1:24."""

    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_embd, n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.layer(x).relu()


class AttendAndThink(Network):
    """Rung 4 with a ReLU layer between the heads and the logits."""

    def __init__(self, vocab_size: int, block_size: int, n_embd: int = 32, n_head: int = 4) -> None:
        super().__init__(vocab_size, block_size, n_embd=n_embd, n_head=n_head)
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(block_size, n_embd)
        self.attention = MultiHeadAttention(n_embd, n_head)
        self.feed_forward = FeedForward(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.feed_forward(self.attention(x)))
