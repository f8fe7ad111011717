"""Rung 1, bigram: the next character from this one alone. Not a count: the table is learned by gradient."""

from torch import Tensor, nn

from lightning_gpt.ladder.network import Network, NetworkConfig


class Bigram(Network):
    """Row i of one (V, V) table holds the logits of whatever follows character i.

    Lecture: 22:11, https://youtu.be/kCc8FmEb1nY?t=1331
    """

    def __init__(self, vocab_size: int, block_size: int) -> None:
        super().__init__(NetworkConfig(vocab_size, block_size))
        self.table = nn.Embedding(vocab_size, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V); the past before each position is not looked at."""
        return self.table(ids)  # (B, T, V)

    def embedding(self) -> nn.Embedding:
        """Returns the table itself: a character's vector is what follows it."""
        return self.table
