"""Rung 6, residual blocks: talk and think several times over, each block adding to what is there. No norms yet."""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung4_multi_head import MultiHeadAttention


class WideFeedForward(nn.Module):
    """Rung 5's thinking in 4 C channels, then projected back: x (B, T, C) to (B, T, C). Vaswani et al. 2017, 3.3."""

    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.layer = nn.Linear(n_embd, 4 * n_embd)
        self.projection = nn.Linear(4 * n_embd, n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.projection(self.layer(x).relu())


class ResidualBlock(nn.Module):
    """Talk, then think; each answer is added to its question, so gradients reach the first layer undimmed.

    "Deep Residual Learning", He et al. 2015. Lecture: 1:26.
    """

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(n_embd, n_head, projection=True)
        self.feed_forward = WideFeedForward(n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class Residual(Network):
    """Embeddings, `n_layer` residual blocks, logits."""

    def __init__(self, vocab_size: int, block_size: int, n_embd: int = 32, n_head: int = 4, n_layer: int = 3) -> None:
        super().__init__(vocab_size, block_size, n_embd=n_embd, n_head=n_head, n_layer=n_layer)
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(block_size, n_embd)
        self.blocks = nn.Sequential(*(ResidualBlock(n_embd, n_head) for _ in range(n_layer)))
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.blocks(x))
