"""Rung 8, GPT: the same network made to train at size: heads fused, GELU, tied head, dropout, scaled init.

This is GPT-2's network (Radford et al. 2019) as nanoGPT trains it. It is no text generator: see `generation`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.cache import Cache
from lightning_gpt.ladder.network import CachedNetwork


class CausalSelfAttention(nn.Module):
    """Rung 4's heads in one matrix product and one fused kernel: x (B, T, C) to (B, T, C).

    Raises:
        ValueError: n_embd is not divisible by n_head.
    """

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool) -> None:
        super().__init__()
        if n_embd % n_head:
            raise ValueError(f"n_embd {n_embd} is not divisible by n_head {n_head}")
        self.qkv = nn.Linear(n_embd, 3 * n_embd, bias=bias)
        self.projection = nn.Linear(n_embd, n_embd, bias=bias)
        self.dropout: nn.Module = nn.Dropout(dropout)
        self.weight_dropout = dropout
        self.n_head = n_head

    def heads(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, C), its first row at position `start`, to queries, keys and values, each (B, H, T, D)."""
        q, k, v = self.split(self.qkv(x)).unbind()
        return q, k, v

    def split(self, qkv: Tensor) -> Tensor:
        """(B, T, 3 C) to (3, B, H, T, D)."""
        B, T, C = qkv.shape
        return qkv.view(B, T, 3, self.n_head, C // 3 // self.n_head).permute(2, 0, 3, 1, 4)

    def weights(self, x: Tensor) -> Tensor:
        """x (B, T, C) to attention weights (B, H, T, T). Only to look at: the forward pass never makes them."""
        q, k, _ = self.heads(x)
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(diagonal=1)
        scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(future, float("-inf"))
        return scores.softmax(dim=-1)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        start = cache.length if cache else 0
        q, k, v = self.heads(x, start)
        if cache is not None:
            k, v = cache.extend(self, k, v)
        dropout = self.weight_dropout if self.training else 0.0
        # behind a cache there is a single query, the newest character, and it may look at all
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=start == 0)  # (B, H, T, D)
        return self.dropout(self.projection(y.transpose(1, 2).flatten(2)))  # (B, T, C)


class MLP(nn.Module):
    """Rung 6's feed-forward with GELU (Hendrycks, Gimpel 2016) for ReLU: x (B, T, C) to (B, T, C)."""

    def __init__(self, n_embd: int, dropout: float, bias: bool, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(n_embd, 4 * n_embd, bias=bias)
        self.activation = activation or nn.GELU()
        self.projection = nn.Linear(4 * n_embd, n_embd, bias=bias)
        self.dropout: nn.Module = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.dropout(self.projection(self.activation(self.layer(x))))


class Block(nn.Module):
    """Rung 7's pre-norm block around a given attention and MLP."""

    def __init__(self, attention: CausalSelfAttention, mlp: MLP, n_embd: int, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(n_embd, bias=bias)
        self.attention = attention
        self.norm2 = nn.LayerNorm(n_embd, bias=bias)
        self.mlp = mlp

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        x = x + self.attention(self.norm1(x), cache)
        return x + self.mlp(self.norm2(x))


class GPT(CachedNetwork):
    """Token and position embeddings, pre-LayerNorm blocks, a final LayerNorm, and the embedding again as the head.

    Args:
        vocab_size: distinct characters V.
        block_size: longest context T.
        n_layer: blocks.
        n_head: heads of each block, a divisor of n_embd.
        n_embd: channels C.
        dropout: share of activations dropped in training, 0 for none.
        bias: biases in linear layers and norms; GPT-2 has them, nanoGPT trains without.
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_layer: int = 4,
        n_head: int = 4,
        n_embd: int = 128,
        dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        super().__init__(
            vocab_size, block_size, n_layer=n_layer, n_head=n_head, n_embd=n_embd, dropout=dropout, bias=bias
        )
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(block_size, n_embd)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(CausalSelfAttention(n_embd, n_head, dropout, bias), MLP(n_embd, dropout, bias), n_embd, bias)
            for _ in range(n_layer)
        )
        self.norm = nn.LayerNorm(n_embd, bias=bias)
        init_weights(self, n_layer)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) to logits (B, T, V); see `CachedNetwork`."""
        start = cache.length if cache else 0
        positions = torch.arange(start, start + ids.shape[1], device=ids.device)
        x = self.dropout(self.token_embedding(ids) + self.position_embedding(positions))  # (B, T, C)
        for block in self.blocks:
            x = block(x, cache)
        if cache is not None:
            cache.length += ids.shape[1]
        return F.linear(self.norm(x), self.token_embedding.weight)  # tied head: (B, T, V)


def init_weights(net: nn.Module, n_layer: int) -> None:
    """GPT-2's init: all weights normal with deviation 0.02; what is added to the residual path 1/sqrt(2 n_layer) of it.

    2 n_layer summands of that size leave the path's variance at the end what one full-size summand would.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            residual = name.endswith("projection")
            nn.init.normal_(module.weight, std=0.02 * (2 * n_layer) ** -0.5 if residual else 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
