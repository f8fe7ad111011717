"""Rung 8a, fused attention: rung 4's heads, the same numbers, in one matrix product and one kernel.

Queries, keys and values of all heads come from one matrix of 3 C rows: first C rows of queries, head after head, then
keys, then values. The kernel computes softmax(Q K^T / sqrt(D)) V piece by piece and never holds a (T, T) matrix:
"FlashAttention", Dao et al. 2022.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.network import Attention


class CausalSelfAttention(Attention):
    """H causal heads and their projection: x (B, T, C) to (B, T, C).

    Args:
        n_embd: channels C.
        n_head: heads H, a divisor of C.
        bias: biases in both linear layers.
    """

    def __init__(self, n_embd: int, n_head: int, bias: bool = True) -> None:
        super().__init__()
        assert n_embd % n_head == 0, (n_embd, n_head)
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=bias)
        self.projection = nn.Linear(n_embd, n_embd, bias=bias)
        self.n_head = n_head

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        q, k, v = self.heads(x)  # (B, H, T, D) each
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        return self.projection(y.transpose(1, 2).flatten(2))  # (B, T, H, D) -> (B, T, C)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, C) to queries, keys and values, (B, H, T, D) each."""
        q, k, v = self.split(self.qkv(x)).unbind()
        return q, k, v

    def split(self, qkv: Tensor) -> Tensor:
        """(B, T, 3 C) to (3, B, H, T, D), without moving a number."""
        B, T, C = qkv.shape
        return qkv.view(B, T, 3, self.n_head, C // 3 // self.n_head).permute(2, 0, 3, 1, 4)

    def attention_weights(self, x: Tensor) -> Tensor:
        """x (B, T, C) to attention weights (B, H, T, T). Only to look at: the forward pass never makes them."""
        q, k, _ = self.heads(x)
        scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(self.hidden(x), float("-inf"))
        return scores.softmax(dim=-1)

    def hidden(self, x: Tensor) -> Tensor:
        """x (B, T, C) to what each position can't look at, (T, T): the future."""
        T = x.shape[1]
        return torch.ones(T, T, dtype=torch.bool, device=x.device).triu(diagonal=1)
