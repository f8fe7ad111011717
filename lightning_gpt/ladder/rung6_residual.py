"""Rung 6, residual blocks: talk and think several times over, each block adding to what is there. No norms yet.

What is added must be able to take any direction, so each half of a block ends in a linear layer, its projection back to
the residual path: mixing the heads' answers, and leading the wider feed-forward back to C channels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Block, Network, whole
from lightning_gpt.ladder.rung4_multi_head import MultiHeadAttention, MultiHeadConfig


class ProjectedAttention(MultiHeadAttention):
    """Rung 4's heads, their answers mixed by a projection: x (B, T, C) to (B, T, C)."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__(n_embd, n_head)
        self.projection = nn.Linear(n_embd, n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.projection(super().forward(x))


class WideFeedForward(nn.Module):
    """Rung 5's thinking in 4 C channels, then projected back: x (B, T, C) to (B, T, C). Vaswani et al. 2017, 3.3."""

    def __init__(self, n_embd: int) -> None:
        super().__init__()
        self.fc = nn.Linear(n_embd, 4 * n_embd)
        self.projection = nn.Linear(4 * n_embd, n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.projection(self.fc(x).relu())


class ResidualBlock(Block):
    """Talk, then think; each answer is added to its question, so gradients reach the first layer undimmed.

    "Deep Residual Learning", He et al. 2015.
    Lecture: 1:26:48, https://youtu.be/kCc8FmEb1nY?t=5208
    """

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.attention = ProjectedAttention(n_embd, n_head)
        self.feed_forward = WideFeedForward(n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        x = x + self.attention(x)
        return x + self.feed_forward(x)


@dataclass(frozen=True)
class ResidualConfig(MultiHeadConfig):
    """The sizes of rungs 6 and 7.

    Args:
        n_layer: blocks.
    """

    n_layer: int = whole(3)


class ResidualGPT(Network):
    """Embeddings, `n_layer` residual blocks, logits."""

    config: ResidualConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = ResidualConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(block_size, config.n_embd)
        self.blocks = nn.Sequential(*(ResidualBlock(config.n_embd, config.n_head) for _ in range(config.n_layer)))
        self.lm_head = nn.Linear(config.n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.blocks(x))
