"""Rung 9, modern GPT: what the field learned since GPT-2, one named option each. All of them off, it is rung 8."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.cache import Cache
from lightning_gpt.ladder.network import CachedNetwork
from lightning_gpt.ladder.rung8_gpt import MLP, Block, CausalSelfAttention, init_weights


class SquaredReLU(nn.Module):
    """max(x, 0)^2, elementwise: "Primer", So et al. 2021."""

    def forward(self, x: Tensor) -> Tensor:
        """x (...) to (...)."""
        return x.relu().square()


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
    """Adds to each position what a channel of the last `width` ones holds, weighed alike everywhere: (B, T, C).

    At the input it makes n-grams of characters before any attention: a depthwise convolution as in "Primer", So et
    al. 2021, applied to the embedding. Its weights (width, C) start at zero, so it starts as the identity.
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


def rotate(x: Tensor, start: int = 0, base: float = 10_000.0) -> Tensor:
    """x (..., T, D) with channel pairs (i, i + D/2) of position t turned by the angle t * base^(-2i/D).

    The product of a turned query and a turned key depends on their distance alone: "RoFormer", Su et al. 2021.
    The first of the T positions is `start`.
    """
    T, D = x.shape[-2:]
    frequencies = base ** (-torch.arange(0, D, 2, device=x.device, dtype=torch.float32) / D)  # (D/2,)
    positions = torch.arange(start, start + T, device=x.device, dtype=torch.float32)
    angles = positions[:, None] * frequencies  # (T, D/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return x * torch.cat([cos, cos], dim=-1) + x.roll(D // 2, dims=-1) * torch.cat([-sin, sin], dim=-1)


class ModernAttention(CausalSelfAttention):
    """Rung 8's attention with its queries and keys turned by position, normalised, or both: x (B, T, C) to (B, T, C).

    Raises:
        ValueError: rotary positions with an odd head size.
    """

    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, rotary: bool, qk_norm: bool) -> None:
        super().__init__(n_embd, n_head, dropout, bias)
        if rotary and n_embd // n_head % 2:
            raise ValueError(f"rotary positions need an even head size, not n_embd / n_head = {n_embd // n_head}")
        self.rotary = rotary
        self.qk_norm = qk_norm

    def heads(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, C), its first row at position `start`, to queries, keys and values, each (B, H, T, D)."""
        qk, v = self.split(self.qkv(x)).split_with_sizes([2, 1])
        if self.rotary:
            qk = rotate(qk, start)
        if self.qk_norm:
            qk = F.rms_norm(qk, qk.shape[-1:])
        q, k = qk.unbind()
        return q, k, v.squeeze(0)


class ModernGPT(CachedNetwork):
    """GPT with options. LayerNorm blocks stay.

    Args:
        vocab_size: distinct characters V.
        block_size: longest context T.
        n_layer: blocks.
        n_head: heads of each block, a divisor of n_embd.
        n_embd: channels C.
        dropout: share of activations dropped in training, 0 for none.
        bias: biases in linear layers and norms.
        rotary: positions by turning queries and keys; False: a learned embedding, as in rung 8.
        qk_norm: queries and keys of unit root mean square (Dehghani et al. 2023): scores cannot grow without bound.
        variational_dropout: dropout is `VariationalDropout`, and attention weights, whose dropout would leave the fast
            kernel on a CPU, have none.
        squared_relu: squared ReLU in place of GELU.
        zero_init: what is added to the residual path starts at zero, so every block starts as the identity.
        embedding_norm: characters enter the residual path with unit root mean square, so that no block drowns them.
        own_head: a head apart from the embedding, zero at first: the first loss is ln V exactly. False: tied.
        convolution: characters that a `ShortConvolution` mixes before the first block; 0: none.
        softcap: logits bent to stay within (-softcap, softcap) by tanh (Gemma 2, 2024); None: as they are.
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
        rotary: bool = True,
        qk_norm: bool = True,
        variational_dropout: bool = True,
        squared_relu: bool = True,
        zero_init: bool = True,
        embedding_norm: bool = True,
        own_head: bool = True,
        convolution: int = 4,
        softcap: float | None = 15.0,
    ) -> None:
        super().__init__(
            vocab_size,
            block_size,
            n_layer=n_layer,
            n_head=n_head,
            n_embd=n_embd,
            dropout=dropout,
            bias=bias,
            rotary=rotary,
            qk_norm=qk_norm,
            variational_dropout=variational_dropout,
            squared_relu=squared_relu,
            zero_init=zero_init,
            embedding_norm=embedding_norm,
            own_head=own_head,
            convolution=convolution,
            softcap=softcap,
        )
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        if not 0 <= convolution <= block_size:
            raise ValueError(f"convolution must be 0 or a width up to block_size {block_size}, not {convolution}")
        if softcap is not None and softcap <= 0.0:
            raise ValueError(f"softcap must be above 0, or null for none, not {softcap}")
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = None if rotary else nn.Embedding(block_size, n_embd)
        self.convolution = ShortConvolution(n_embd, convolution) if convolution else None
        self.dropout: nn.Module = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                ModernAttention(n_embd, n_head, dropout, bias, rotary, qk_norm),
                MLP(n_embd, dropout, bias, SquaredReLU() if squared_relu else nn.GELU()),
                n_embd,
                bias,
            )
            for _ in range(n_layer)
        )
        self.norm = nn.LayerNorm(n_embd, bias=bias)
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False) if own_head else None
        self.embedding_norm = embedding_norm
        self.softcap = softcap
        if variational_dropout:
            self.dropout = VariationalDropout(dropout)
            for module in list(self.modules()):
                if isinstance(module, CausalSelfAttention | MLP):
                    module.dropout = VariationalDropout(dropout)
                if isinstance(module, CausalSelfAttention):
                    module.weight_dropout = 0.0
        init_weights(self, n_layer)
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)
        if zero_init:
            for name, weight in self.named_parameters():
                if name.endswith("projection.weight"):
                    nn.init.zeros_(weight)

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """ids (B, T) to logits (B, T, V); see `CachedNetwork`."""
        start = cache.length if cache else 0
        x = self.token_embedding(ids)  # (B, T, C)
        if self.position_embedding is not None:
            x = x + self.position_embedding(torch.arange(start, start + ids.shape[1], device=ids.device))
        if self.embedding_norm:
            x = F.rms_norm(x, x.shape[-1:])
        if self.convolution is not None:
            x = self.convolution(x, cache)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, cache)
        if cache is not None:
            cache.length += ids.shape[1]
        head = self.token_embedding if self.lm_head is None else self.lm_head
        logits = F.linear(self.norm(x), head.weight)  # (B, T, V)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)
