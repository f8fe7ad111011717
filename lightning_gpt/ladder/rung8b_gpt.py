"""Rung 8b, GPT: the same network made to train at size: tied head, dropout, scaled init, GELU.

This is GPT-2's network (Radford et al. 2019) as nanoGPT trains it. It can read with a cache, see `cache`; it writes no
text by itself: `decode` does. The lecture adds dropout at 1:37:49, https://youtu.be/kCc8FmEb1nY?t=5869
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.cache import Cache, CachedNetwork
from lightning_gpt.ladder.kernels import attention
from lightning_gpt.ladder.network import Block, NetworkConfig, share, whole
from lightning_gpt.ladder.rung8a_fused_attention import CausalSelfAttention


class GPTAttention(CausalSelfAttention):
    """Rung 8a's attention with dropout on its weights, able to read on with a cache: x (B, T, C) to (B, T, C).

    Args:
        n_embd: channels C.
        n_head: heads H, a divisor of C.
        bias: biases in both linear layers.
        dropout: share of the attention weights dropped in training.
    """

    def __init__(self, n_embd: int, n_head: int, bias: bool, dropout: float) -> None:
        super().__init__(n_embd, n_head, bias)
        self.dropout = dropout

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.attend(*self.heads(x), cache)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, cache: Cache | None, window: int | None = None) -> Tensor:
        """Queries, keys and values, (B, H, T, D) each, to (B, T, C); `window` is rung 9's."""
        first, mask = True, None
        if cache is not None:
            first, T = not cache.length, q.shape[-2]
            k, v = cache.extend(self, k, v)
            if T > 1 and not first:
                mask = cache.visible(T, q.device, window)
            elif T == 1 and window:  # a single query, the newest character, may look at all that it has
                k, v = k[..., -window:, :], v[..., -window:, :]
        dropout = self.dropout if self.training else 0.0
        y = attention(q, k, v, mask, dropout, first, window)  # (B, H, T, D)
        return self.projection(y.transpose(1, 2).flatten(2))  # (B, T, C)


def tanh_gelu(x: Tensor) -> Tensor:
    """x (...) to x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), elementwise: nearly GELU, and GPT-2's."""
    return F.gelu(x, approximate="tanh")


class MLP(nn.Module):
    """Rung 6's feed-forward with GELU (Hendrycks, Gimpel 2016) for ReLU: x (B, T, C) to (B, T, C)."""

    def __init__(self, n_embd: int, bias: bool, activation: Callable[[Tensor], Tensor] = F.gelu) -> None:
        super().__init__()
        self.fc = nn.Linear(n_embd, 4 * n_embd, bias=bias)
        self.projection = nn.Linear(4 * n_embd, n_embd, bias=bias)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.projection(self.activation(self.fc(x)))


class GPTBlock(Block):
    """Rung 7's pre-norm block around a given attention and MLP, with dropout on what they add to the residual path."""

    def __init__(self, attention: GPTAttention, mlp: MLP, dropout: nn.Module, n_embd: int, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(n_embd, bias=bias)
        self.attention = attention
        self.norm2 = nn.LayerNorm(n_embd, bias=bias)
        self.mlp = mlp
        self.dropout = dropout

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        x = x + self.dropout(self.attention(self.norm1(x), cache))
        return x + self.dropout(self.mlp(self.norm2(x)))

    def projections(self) -> tuple[nn.Linear, nn.Linear]:
        """Returns the two layers whose output is added to the residual path."""
        return self.attention.projection, self.mlp.projection


@dataclass(frozen=True)
class GPTConfig(NetworkConfig):
    """The sizes of rung 8.

    Args:
        n_layer: blocks.
        n_head: heads of each block, a divisor of n_embd.
        n_embd: channels C.
        dropout: share of activations dropped in training, 0 for none.
        bias: biases in linear layers and norms; GPT-2 has them, nanoGPT trains without.
        tanh_gelu: GELU by its tanh approximation, for weights that were trained with it, as OpenAI's; False: exact.
    """

    n_layer: int = whole(4)
    n_head: int = whole(4, divides="n_embd")
    n_embd: int = whole(128)
    dropout: float = share(0.0)
    bias: bool = False
    tanh_gelu: bool = False

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """The function between the two layers of an MLP."""
        return tanh_gelu if self.tanh_gelu else F.gelu


class GPT(CachedNetwork):
    """Token and position embeddings, pre-LayerNorm blocks, a final LayerNorm, and the embedding again as the head."""

    config: GPTConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = GPTConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        C, bias, dropout = config.n_embd, config.bias, config.dropout
        self.token_embedding = nn.Embedding(vocab_size, C)
        self.position_embedding = nn.Embedding(block_size, C)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            GPTBlock(
                GPTAttention(C, config.n_head, bias, dropout),
                MLP(C, bias, config.activation),
                nn.Dropout(dropout),
                C,
                bias,
            )
            for _ in range(config.n_layer)
        )
        self.norm = nn.LayerNorm(C, bias=bias)
        init_weights(self, [p for block in self.blocks for p in block.projections()])  # type: ignore[operator]

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


def init_weights(net: nn.Module, projections: Iterable[nn.Linear]) -> None:
    """Initialises weights as GPT-2 does: normal with deviation 0.02, biases zero.

    Args:
        net: the network.
        projections: its n layers that add to the residual path; their deviation is 0.02 / sqrt(n), so that the sum of
            all they add has the variance of one full-size summand, however deep the network.
    """
    residual = list(projections)
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            summand = any(module is projection for projection in residual)
            nn.init.normal_(module.weight, std=0.02 * len(residual) ** -0.5 if summand else 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
