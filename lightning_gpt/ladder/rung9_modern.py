"""Rung 9, modern GPT: what the field learned since GPT-2, one named option each. All of them off, it is rung 8.

    option               turned to                  worth   paper
    -------------------  -------------------------  ------  -----------------------------------------------------------
    rotary               rotary false               +0.073  "RoFormer", Su et al. 2021
    qk_norm              qk_norm false              +0.004  "Scaling Vision Transformers to 22B", Dehghani et al. 2023
    variational_dropout  variational_dropout false  none    "A Theoretically Grounded Application of Dropout in RNNs",
                                                            Gal, Ghahramani 2016; cpu.yaml has no dropout
    squared_relu         squared_relu false         -0.008  "Primer", So et al. 2021
    zero_init            zero_init true             -0.013  "Fixup Initialization", Zhang et al. 2019; off in cpu.yaml
    embedding_norm       embedding_norm false       -0.004  modded-nanogpt, Jordan et al. 2024
    tie_weights          tie_weights true           -0.003  "Rethinking Embedding Coupling", Chung et al. 2021: untied
    conv_width           conv_width 0               -0.003  "Primer", So et al. 2021
    softcap              softcap null               -0.012  "Gemma 2", Gemma Team 2024
    window               window null                +0.032  "Longformer", Beltagy et al. 2020
    pointer              pointer 0                  +0.122  "Pointer Sentinel Mixture Models", Merity et al. 2016

Worth: by how many nats the exact val/loss of configs/cpu.yaml rises when that one option is turned as shown:
`lightning-gpt fit --config configs/cpu.yaml --model.network.rotary false`, and so on; one run each with seed 1337, on
two cores of an Intel Xeon with AMX, before there was a pointer; window and pointer: 500 steps on an AMD EPYC. Three
seeds of the recipe itself lie between 1.4898 and 1.5031, so what is smaller than 0.013 may be chance: only rotary
positions, the pointer, and the window, without which a step takes two thirds longer, are sure to be worth something.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.cache import Cache, CachedNetwork
from lightning_gpt.ladder.kernels import rotate, squared_relu, unit_rms
from lightning_gpt.ladder.pointer import Pointer
from lightning_gpt.ladder.rung8b_gpt import MLP, GPTAttention, GPTBlock, GPTConfig, init_weights


class VariationalDropout(nn.Module):
    """Drops channels of a whole text, not of single positions: "variational", Gal, Ghahramani 2016; (B, T, C).

    One draw for T positions: on a CPU, where a random number costs more than an addition, nearly free.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        if not self.training or self.p == 0.0:
            return x
        kept = F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.p)  # 0 or 1 / (1 - p)
        return x * kept


class ShortConvolution(nn.Module):
    """Adds to each position a weighted sum of the last `width` ones, itself included, channel by channel: (B, T, C).

    The weights (width, C) are the same at all positions: a depthwise causal convolution as in "Primer", So et al. 2021,
    here of the embedding, where it makes n-grams of characters before any attention. They start at zero, so it starts
    as the identity.
    """

    def __init__(self, n_embd: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, n_embd))

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        T, width = x.shape[1], self.weight.shape[0]
        seen = x if cache is None else cache.extend(self, x)[0]
        seen = F.pad(seen, (0, 0, width - 1, 0))[:, -(T + width - 1) :]  # (B, T + width - 1, C)
        for back, weight in enumerate(self.weight.unbind()):
            first = width - 1 - back
            x = x + weight * seen[:, first : first + T]
        return x


@dataclass(frozen=True)
class ModernConfig(GPTConfig):
    """The sizes of rung 9.

    Args:
        rotary: positions by turning queries and keys; False: a learned embedding, as in rung 8.
        qk_norm: queries and keys of unit root mean square: scores cannot grow without bound.
        variational_dropout: dropout is `VariationalDropout`, and attention weights, whose dropout would leave the fast
            kernel on a CPU, have none.
        squared_relu: squared ReLU in place of GELU.
        zero_init: what is added to the residual path starts at zero, so every block starts as the identity.
        embedding_norm: characters enter the residual path with unit root mean square, so that no block drowns them.
        tie_weights: the embedding is the head, too, as in rung 8. False: a head of its own, zero at first, so that the
            first loss is ln V exactly.
        conv_width: characters that a `ShortConvolution` mixes before the first block; 0: none.
        softcap: logits bent to stay within (-softcap, softcap) by tanh; None: as they are.
        window: positions that a position looks at, itself included; None: all before it.
        pointer: channels of a `Pointer`, which copies from the whole block; 0: none.
    """

    rotary: bool = True
    qk_norm: bool = True
    variational_dropout: bool = True
    squared_relu: bool = True
    zero_init: bool = True
    embedding_norm: bool = True
    tie_weights: bool = False
    conv_width: int = 4
    softcap: float | None = 15.0
    window: int | None = None
    pointer: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        head_size = self.n_embd // self.n_head
        if self.rotary and head_size % 2:
            raise ValueError(f"rotary positions need an even head size, not n_embd / n_head = {head_size}")
        if not 0 <= self.conv_width <= self.block_size:
            raise ValueError(
                f"conv_width must be 0 or a width up to block_size {self.block_size}, not {self.conv_width}"
            )
        if self.softcap is not None and self.softcap <= 0.0:
            raise ValueError(f"softcap must be above 0, or null for none, not {self.softcap}")
        if self.window is not None and (type(self.window) is not int or self.window < 1):
            raise ValueError(f"window must be a whole number of at least 1, or null for none, not {self.window}")
        if type(self.pointer) is not int or self.pointer < 0:
            raise ValueError(f"pointer must be 0 for none, or a number of channels, not {self.pointer}")

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        """The function between the two layers of an MLP."""
        return squared_relu if self.squared_relu else super().activation


class ModernAttention(GPTAttention):
    """Rung 8's attention with queries and keys turned by position, normalised, or both: x (B, T, C) to (B, T, C)."""

    def __init__(self, config: ModernConfig) -> None:
        dropout = 0.0 if config.variational_dropout else config.dropout
        super().__init__(config.n_embd, config.n_head, config.bias, dropout)
        self.rotary = config.rotary
        self.qk_norm = config.qk_norm
        self.window = None if config.window is None else min(config.window, config.block_size)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.attend(*self.heads(x, cache.length if cache else 0), cache, self.window)

    def hidden(self, x: Tensor) -> Tensor:
        """See `CausalSelfAttention.hidden`; and what lies before the window."""
        future = super().hidden(x)
        return future if self.window is None else future | torch.ones_like(future).tril(-self.window)

    def heads(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, C), its first row at position `start`, to queries, keys and values, (B, H, T, D) each."""
        qk, v = self.split(self.qkv(x)).split_with_sizes([2, 1])  # (2, B, H, T, D), (1, B, H, T, D)
        if self.rotary:
            qk = rotate(qk, start)
        if self.qk_norm:
            qk = unit_rms(qk)
        q, k = qk.unbind()
        return q, k, v.squeeze(0)


class ModernGPT(CachedNetwork):
    """Rung 8 with options."""

    config: ModernConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = ModernConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        C, bias = config.n_embd, config.bias
        dropout = VariationalDropout if config.variational_dropout else nn.Dropout
        self.token_embedding = nn.Embedding(vocab_size, C)
        self.position_embedding = None if config.rotary else nn.Embedding(block_size, C)
        self.convolution = ShortConvolution(C, config.conv_width) if config.conv_width else None
        self.dropout = dropout(config.dropout)
        self.blocks = nn.ModuleList(
            GPTBlock(ModernAttention(config), MLP(C, bias, config.activation), dropout(config.dropout), C, bias)
            for _ in range(config.n_layer)
        )
        self.norm = nn.LayerNorm(C, bias=bias)
        self.lm_head = None if config.tie_weights else nn.Linear(C, vocab_size, bias=False)
        self.pointer = Pointer(C, config.pointer) if config.pointer else None
        projections = [p for block in self.blocks for p in block.projections()]  # type: ignore[operator]
        init_weights(self, projections)
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)
        if self.pointer is not None:
            self.pointer.init_weights()
        if config.zero_init:
            for projection in projections:
                nn.init.zeros_(projection.weight)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) to logits (B, T, V); see `CachedNetwork`."""
        start = cache.length if cache else 0
        x = self.token_embedding(ids)  # (B, T, C)
        if self.position_embedding is not None:
            x = x + self.position_embedding(torch.arange(start, start + ids.shape[1], device=ids.device))
        if self.config.embedding_norm:
            x = unit_rms(x)
        if self.convolution is not None:
            x = self.convolution(x, cache)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, cache)
        x = self.norm(x)
        logits = F.linear(x, self.token_embedding.weight) if self.lm_head is None else self.lm_head(x)  # (B, T, V)
        softcap = self.config.softcap
        if softcap is not None:
            logits = softcap * torch.tanh(logits / softcap)
        if self.pointer is not None:
            logits = self.pointer(x, logits, ids, cache)
        if cache is not None:
            cache.length += ids.shape[1]
        return logits
