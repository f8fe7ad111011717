"""Rung 7, LayerNorm: each position's channels brought to mean 0 and variance 1 before every talk and every thought."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Block, Network
from lightning_gpt.ladder.rung6_residual import ProjectedAttention, ResidualConfig, WideFeedForward


class LayerNorm(nn.Module):
    """`torch.nn.LayerNorm` over the last dimension, written out: x (..., C) to (..., C).

    Rows, not columns: each position by itself, so nothing is shared between examples and nothing differs between
    training and use. "Layer Normalization", Ba, Kiros, Hinton 2016.
    Lecture: 1:32:51, https://youtu.be/kCc8FmEb1nY?t=5571

    Args:
        n_embd: channels C.
        eps: added to the variance, so that a constant row is no division by zero.
    """

    def __init__(self, n_embd: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_embd))
        self.bias = nn.Parameter(torch.zeros(n_embd))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C) to (..., C)."""
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=0)  # (..., 1)
        return (x - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias


class PreNormBlock(Block):
    """Rung 6's block with a norm before each half: the residual path itself stays clean (pre-norm)."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.attention = ProjectedAttention(n_embd, n_head)
        self.feed_forward = WideFeedForward(n_embd)
        self.norm1 = LayerNorm(n_embd)
        self.norm2 = LayerNorm(n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class LayerNormGPT(Network):
    """Rung 6 with pre-norm blocks and a final norm. All norms replaced by identities, it is rung 6."""

    config: ResidualConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = ResidualConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(block_size, config.n_embd)
        self.blocks = nn.Sequential(*(PreNormBlock(config.n_embd, config.n_head) for _ in range(config.n_layer)))
        self.norm = LayerNorm(config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.norm(self.blocks(x)))
