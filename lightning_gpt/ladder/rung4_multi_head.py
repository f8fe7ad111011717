"""Rung 4, multi-head: several conversations at once, each in fewer channels. Still nothing done with what is heard."""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung3_head import Head


class MultiHeadAttention(nn.Module):
    """H causal heads of n_embd / H channels side by side, concatenated: x (B, T, C) to (B, T, C). Lecture: 1:21.

    Args:
        n_embd: channels C.
        n_head: heads H, a divisor of C.
        projection: mix the heads' answers by a linear layer, as rung 6 needs on its way back to the residual path.
            Here the mix is the identity.

    Raises:
        ValueError: n_embd is not divisible by n_head.
    """

    def __init__(self, n_embd: int, n_head: int, *, projection: bool = False) -> None:
        super().__init__()
        if n_embd % n_head:
            raise ValueError(f"n_embd {n_embd} is not divisible by n_head {n_head}")
        self.heads = nn.ModuleList(Head(n_embd, n_embd // n_head) for _ in range(n_head))
        self.mix = nn.Linear(n_embd, n_embd) if projection else nn.Identity()

    def weights(self, x: Tensor) -> Tensor:
        """x (B, T, C) to each head's attention weights (B, H, T, T)."""
        return torch.stack([head.weights(x) for head in self.heads], dim=1)  # type: ignore[operator]

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) to (B, T, C)."""
        return self.mix(torch.cat([head(x) for head in self.heads], dim=-1))  # H times (B, T, D) -> (B, T, C)


class MultiHead(Network):
    """Rung 3 with four narrow heads in place of one wide one."""

    def __init__(self, vocab_size: int, block_size: int, n_embd: int = 32, n_head: int = 4) -> None:
        super().__init__(vocab_size, block_size, n_embd=n_embd, n_head=n_head)
        self.token_embedding = nn.Embedding(vocab_size, n_embd)
        self.position_embedding = nn.Embedding(block_size, n_embd)
        self.attention = MultiHeadAttention(n_embd, n_head)
        self.lm_head = nn.Linear(n_embd, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C) + (T, C)
        return self.lm_head(self.attention(x))
