"""The contract of every tokenizer: what the rest of the house may ask of one. Knows no corpus file and no network.

Legend: N tokens of a text, V tokens that there are, M characters of a text.
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

Pieces = Callable[[], Iterator[str]]  # each call reads the text anew, a piece at a time: its length does not matter


class Tokenizer(ABC):
    """Splits text into tokens, each of which is an id in [0, V), and joins them again.

    A new kind is a subclass in a file of its own and a line in `TOKENIZERS`. It is never changed once it is made.

    Attributes:
        kind: its name in the table, in configurations and in checkpoints.
        unit: what one of its tokens is called, as in "nats per character".
        per_character: whether every token is exactly one character. Ids can then be split at any place, and are the
            same whatever part of the text is trained on.
    """

    kind: ClassVar[str]
    unit: ClassVar[str] = "token"
    per_character: ClassVar[bool] = False

    # ------------------------------------------------------------------------------------------- how one is made

    @classmethod
    @abstractmethod
    def learn(cls, text: Pieces, vocab_size: int | None) -> "Tokenizer":
        """Makes the tokenizer of a text, in bounded memory: the text may be read as often as need be.

        Args:
            text: of a `per_character` tokenizer the whole text, for every character must have an id; of any other the
                training part only, so that nothing of the held-out text leaks into the tokenizer.
            vocab_size: how many tokens there shall be; None leaves it to the tokenizer.

        Raises:
            UserError: it can't have so many.
        """

    @abstractmethod
    def as_plain(self) -> dict[str, Any]:
        """All that the tokenizer is, in plain values, its kind under "kind"."""

    @classmethod
    @abstractmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Tokenizer":
        """The tokenizer that these plain values describe. They may come from a damaged or hostile file.

        Raises:
            ValueError: they describe none.
        """

    # -------------------------------------------------------------------------------------------- what it can do

    @abstractmethod
    def __len__(self) -> int:
        """V, how many tokens there are."""

    @abstractmethod
    def token_bytes(self, token: int) -> bytes:
        """The UTF-8 bytes that an id stands for; at least one, and not always whole characters."""

    @abstractmethod
    def encode(self, text: str, unknown: str = "error") -> Tensor:
        """Text of M characters to ids (N,), int64.

        Args:
            text: any string.
            unknown: what to do with a character that can't be spelled: "error", "skip" (it is left out), or a
                character to take its place.

        Raises:
            UserError: an unknown character, with its name, its position and the nearest remedy.
        """

    # ----------------------------------------------------------------------- what follows; faster where it matters

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """A long text, a piece at a time, to its ids (n,) in parts, which need not be those of the pieces."""
        for piece in pieces:
            yield self.encode(piece).numpy()

    def decode(self, ids: Iterable[int] | Tensor | np.ndarray) -> str:
        """Ids (N,) to text; bytes that are no whole character become U+FFFD."""
        return b"".join(map(self.token_bytes, as_list(ids))).decode("utf-8", "replace")

    def decoder(self) -> "Decoder":
        """Decodes one stream of ids as it comes."""
        return Decoder(self)

    def token_text(self, token: int) -> str:
        """The text of one id, to be looked at: bytes that are no whole character are written as \\xNN."""
        return self.token_bytes(token).decode("utf-8", "backslashreplace")

    def clean(self, text: str) -> str:
        """What of the text can be spelled; where nothing is left, a line break or else the first token. Never empty."""
        return self.decode(self.encode(text, "skip")) or self.decode(self.encode("\n", "skip")) or self.token_text(0)

    @cached_property
    def token_lengths(self) -> np.ndarray:
        """(V, 2), int64: how many characters and how many UTF-8 bytes each token has.

        A character is counted with the token that holds its first byte, so that the sums over a text are exact.
        """
        tokens = [self.token_bytes(token) for token in range(len(self))]
        return np.array([(sum(map(begins_character, token)), len(token)) for token in tokens], dtype=np.int64)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.as_plain() == other.as_plain()

    def __hash__(self) -> int:
        return hash((self.kind, len(self)))


class Decoder:
    """Text of ids that come one by one; bytes that may be the beginning of a character wait for its end."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """What is certain of the text now, without what was certain before."""
        return self._utf8.decode(self._tokenizer.token_bytes(token))

    def rest(self) -> str:
        """What has waited in vain, as U+FFFD, when no more comes."""
        return self._utf8.decode(b"", final=True)


def begins_character(byte: int) -> bool:
    """Whether a byte of UTF-8 is the first of a character: all others are 10xxxxxx."""
    return byte & 0xC0 != 0x80


def as_list(ids: Iterable[int] | Tensor | np.ndarray) -> list[int]:
    """Ids of any form as plain numbers."""
    return ids.tolist() if isinstance(ids, torch.Tensor | np.ndarray) else list(ids)
