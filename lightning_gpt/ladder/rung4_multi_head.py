"""Rung 4, multi-head: several conversations at once, each in fewer channels. Still nothing done with what is heard."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Attention, Network, NetworkConfig, whole
from lightning_gpt.ladder.rung3_head import Head


class MultiHeadAttention(Attention):
    """H causal heads of D = C / H channels side by side, concatenated: x (B, T, C) to (B, T, C).

    Lecture: 1:21:59, https://youtu.be/kCc8FmEb1nY?t=4919

    Args:
        n_embd: channels C.
        n_head: heads H, a divisor of C.
    """

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        assert n_embd % n_head == 0, (n_embd, n_head)
        self.heads = nn.ModuleList(Head(n_embd, n_embd // n_head) for _ in range(n_head))

    def attention_weights(self, x: Tensor) -> Tensor:
        """x (B, T, C) to each head's weights (B, H, T, T)."""
        return torch.stack([head.attention_weights(x) for head in self.heads], dim=1)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return torch.cat([head(x) for head in self.heads], dim=-1)  # H times (B, T, D) -> (B, T, C)


@dataclass(frozen=True)
class MultiHeadConfig(NetworkConfig):
    """The sizes of rungs 4 and 5.

    Args:
        n_embd: channels C.
        n_head: heads of each attention, a divisor of n_embd.
    """

    n_embd: int = whole(32)
    n_head: int = whole(4, divides="n_embd")


class MultiHeadGPT(Network):
    """Rung 3 with four narrow heads in place of one wide one."""

    config: MultiHeadConfig

    def __init__(self, vocab_size: int, block_size: int, **sizes: Any) -> None:
        config = MultiHeadConfig(vocab_size, block_size, **sizes)
        super().__init__(config)
        self.token_embedding = nn.Embedding(vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(block_size, config.n_embd)
        self.attention = MultiHeadAttention(config.n_embd, config.n_head)
        self.lm_head = nn.Linear(config.n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.attention(x))
