"""Units of a loss. A step's is in nats per token; per character and per byte of text, any two tokenizers compare.

Legend: B batch, T time, V vocabulary, N tokens of a text, M characters of it.
"""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from lightning_gpt.text.blocks import IGNORE
from lightning_gpt.text.mapped import token_counts
from lightning_gpt.tokens import Tokenizer
from lightning_gpt.tokens.tokenizer import begins_character

NATS_PER_BIT = math.log(2)


@dataclass(frozen=True)
class Length:
    """The length of a text in each unit that a loss can be divided by."""

    tokens: int
    characters: int
    bytes: int

    @classmethod
    def of(cls, ids: np.ndarray, token_lengths: np.ndarray) -> "Length":
        """Counts the text that ids (N,) stand for; token_lengths (V, 2) as in `Tokens`."""
        characters, size = token_counts(ids, len(token_lengths)) @ token_lengths
        return cls(len(ids), int(characters), int(size))

    def bits_per_character(self, nats_per_token: float) -> float:
        """Converts a mean loss over this text, in nats per token, to bits per character."""
        return nats_per_token * (self.tokens / self.characters) / NATS_PER_BIT

    def bits_per_byte(self, nats_per_token: float) -> float:
        """Converts a mean loss over this text, in nats per token, to bits per UTF-8 byte."""
        return nats_per_token * (self.tokens / self.bytes) / NATS_PER_BIT


def cross_entropy(logits: Tensor, targets: Tensor, reduction: str = "none") -> Tensor:
    """Computes each target's nats: logits (..., V), targets (...) to (...), 0 where the target is IGNORE; or a sum."""
    nats = F.cross_entropy(logits.float().flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction=reduction)
    return nats.view_as(targets) if reduction == "none" else nats


@dataclass(frozen=True)
class ByCharacter:
    """A text by its characters, whatever its tokens are: M of them, and what each one cost.

    Attributes:
        text: M characters, U+FFFD where bytes are none.
        sizes: (M,), bytes of each.
        nats: (M,); NaN for those of the first token, which was not predicted.
    """

    text: str
    sizes: np.ndarray
    nats: np.ndarray


def by_character(nats: np.ndarray, ids: np.ndarray, tokenizer: Tokenizer, is_text: bool = True) -> ByCharacter:
    """Spreads nats (N - 1,) of the tokens after the first of ids (N,) over their text's characters.

    A token's nats are shared evenly among its bytes, and a character has those of its bytes: for characters as tokens
    nothing changes, and for any tokenizer the sum stays but for a character that the first token has begun. Of what is
    no text each byte is a character.
    """
    tokens = [tokenizer.token_bytes(token) for token in ids.tolist()]
    lengths = np.array([len(token) for token in tokens])
    shares = np.repeat(np.concatenate([[np.nan], nats]) / lengths, lengths)
    data = b"".join(tokens)
    if not is_text:
        return ByCharacter(data.decode("ascii", "replace"), np.ones(len(data), dtype=np.int64), shares)
    starts = np.flatnonzero(begins_character(np.frombuffer(data, dtype=np.uint8)))
    text = data.decode("utf-8", "replace")  # the last may be cut
    return ByCharacter(text, np.diff(starts, append=len(data)), np.add.reduceat(shares, starts))
