"""Rung 9, modern GPT: what the field learned since GPT-2, one named option each. All of them off, it is rung 8."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung8_gpt import MLP, Block, CausalSelfAttention, init_weights


class SquaredReLU(nn.Module):
    """max(x, 0)^2, elementwise: "Primer", So et al. 2021."""

    def forward(self, x: Tensor) -> Tensor:
        """x (...) to (...)."""
        return x.relu().square()


def rotate(x: Tensor, base: float = 10_000.0) -> Tensor:
    """x (B, H, T, D) with channel pairs (i, i + D/2) of position t turned by the angle t * base^(-2i/D).

    The product of a turned query and a turned key depends on their distance alone: "RoFormer", Su et al. 2021.
    """
    T, D = x.shape[-2:]
    frequencies = base ** (-torch.arange(0, D, 2, device=x.device, dtype=torch.float32) / D)  # (D/2,)
    angles = torch.arange(T, device=x.device, dtype=torch.float32)[:, None] * frequencies  # (T, D/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos], dim=-1)


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

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, T, C) to queries, keys and values, each (B, H, T, D)."""
        q, k, v = super().heads(x)
        if self.rotary:
            q, k = rotate(q), rotate(k)
        if self.qk_norm:
            q, k = F.rms_norm(q, q.shape[-1:]), F.rms_norm(k, k.shape[-1:])
        return q, k, v


class ModernGPT(Network):
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
        squared_relu: squared ReLU in place of GELU.
        zero_init: what is added to the residual path starts at zero, so every block starts as the identity.
        embedding_norm: characters enter the residual path with unit root mean square, so that no block drowns them.
        own_head: a head apart from the embedding, zero at first: the first loss is ln V exactly. False: tied.
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
        squared_relu: bool = True,
        zero_init: bool = True,
        embedding_norm: bool = True,
        own_head: bool = True,
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
            squared_relu=squared_relu,
            zero_init=zero_init,
            embedding_norm=embedding_norm,
            own_head=own_head,
            softcap=softcap,
        )
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        if softcap is not None and softcap <= 0.0:
            raise ValueError(f"softcap must be above 0, or null for none, not {softcap}")
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = None if rotary else nn.Embedding(block_size, n_embd)
        self.dropout = nn.Dropout(dropout)
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
        init_weights(self, n_layer)
        if self.lm_head is not None:
            nn.init.zeros_(self.lm_head.weight)
        if zero_init:
            for name, weight in self.named_parameters():
                if name.endswith("projection.weight"):
                    nn.init.zeros_(weight)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        x = self.token_embedding(ids)  # (B, T, C)
        if self.position_embedding is not None:
            x = x + self.position_embedding(torch.arange(ids.shape[1], device=ids.device))
        if self.embedding_norm:
            x = F.rms_norm(x, x.shape[-1:])
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        head = self.token_embedding if self.lm_head is None else self.lm_head
        logits = F.linear(self.norm(x), head.weight)  # (B, T, V)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)
