"""Rung 7, LayerNorm: each position's channels brought to mean 0 and variance 1 before every talk and every thought."""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung4_multi_head import MultiHeadAttention
from lightning_gpt.ladder.rung6_residual import WideFeedForward


class LayerNorm(nn.Module):
    """`torch.nn.LayerNorm` over the last dimension, written out: x (..., C) to (..., C).

    Rows, not columns: each position by itself, so nothing is shared between examples and nothing differs between
    training and use. "Layer Normalization", Ba, Kiros, Hinton 2016. Lecture: 1:32.

    Args:
        n_embd: channels C.
        eps: added to the variance, so that a constant row is no division by zero.
        unbiased: divide by C - 1, as the lecture's notebook does; `torch.nn.LayerNorm` divides by C.
    """

    def __init__(self, n_embd: int, eps: float = 1e-5, unbiased: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_embd))
        self.bias = nn.Parameter(torch.zeros(n_embd))
        self.eps = eps
        self.unbiased = unbiased

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C) to (..., C)."""
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, correction=int(self.unbiased))  # (..., 1)
        return (x - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias


class NormedBlock(nn.Module):
    """Rung 6's block with a norm before each half: the residual path itself stays clean (pre-norm)."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(n_embd, n_head, projection=True)
        self.feed_forward = WideFeedForward(n_embd)
        self.norm1 = LayerNorm(n_embd)
        self.norm2 = LayerNorm(n_embd)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class Normed(Network):
    """Rung 6 with pre-norm blocks and a final norm. All norms replaced by identities, it is rung 6."""

    def __init__(self, vocab_size: int, block_size: int, n_embd: int = 32, n_head: int = 4, n_layer: int = 3) -> None:
        super().__init__(vocab_size, block_size, n_embd=n_embd, n_head=n_head, n_layer=n_layer)
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(block_size, n_embd)
        self.blocks = nn.Sequential(*(NormedBlock(n_embd, n_head) for _ in range(n_layer)))
        self.norm = LayerNorm(n_embd)
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.norm(self.blocks(x)))
