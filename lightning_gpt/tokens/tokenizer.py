"""The Tokenizer contract: all that other rooms use of one. Knows no corpus file and no network.

Legend: N tokens of a text, V tokens that there are, M characters of a text.
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError

SHOWN = 8  # of many tokens, in a message
Pieces = Callable[[], Iterator[str]]  # each call reads the text anew, a piece at a time: its length does not matter


class Tokenizer(ABC):
    """Splits text into tokens, each of which is an id in [0, V), and joins them again.

    A new kind is a subclass in a file of its own and a line in `TOKENIZERS`. It is never changed once it is made.

    Attributes:
        kind: its name in the table, in configurations and in checkpoints.
        unit: what one of its tokens is called, as in "nats per character".
        per_character: whether every token is exactly one character. Ids can then be split at any place, and are the
            same whatever part of the text is trained on.
        reads_any_file: whether it takes a file's bytes as they are, text or not: those that are no UTF-8 come to it
            as Python's surrogates for bytes, see `surrogates`.
    """

    kind: ClassVar[str]
    unit: ClassVar[str] = "token"
    per_character: ClassVar[bool] = False
    reads_any_file: ClassVar[bool] = False

    # ------------------------------------------------------------------------------------------- how one is made

    @classmethod
    def chosen_size(cls, vocab_size: int | None) -> int | None:
        """Returns how many tokens there shall be, where the tokenizer leaves a choice; None asks for its default.

        Raises:
            UserError: it can't have so many, or leaves no choice.
        """
        if vocab_size is not None:
            raise UserError(
                f"data.vocab_size is not for {cls.kind}, of which there are as many as there are: leave it out"
            )
        return None

    @classmethod
    @abstractmethod
    def learn(cls, text: Pieces, vocab_size: int | None) -> "Tokenizer":
        """Makes the tokenizer of a text, in bounded memory: the text may be read as often as need be.

        Args:
            text: of a `per_character` tokenizer the whole text, for every character must have an id; of any other the
                training part only, so that nothing of the held-out text leaks into the tokenizer.
            vocab_size: how many tokens there shall be, as `chosen_size` returned it; a short text may give fewer.
        """

    @abstractmethod
    def as_plain(self) -> dict[str, Any]:
        """Describes the tokenizer in plain values, its kind under "kind"."""

    @classmethod
    @abstractmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Tokenizer":
        """Makes the tokenizer that these plain values describe. They may come from a damaged or hostile file.

        Raises:
            ValueError: they describe none.
        """

    def covering(self, text: Pieces, add: bool) -> "Tokenizer":
        """Returns the tokenizer for a further text: this one, if it can spell all of it.

        Args:
            text: the whole text.
            add: whether tokens may be added for what it can't spell; all others stay what they are, perhaps under
                other ids.

        Raises:
            UserError: it can't spell all of it, and may not be added to; with what is new, and how often it occurs.
        """
        return self  # for a tokenizer that can spell everything

    # -------------------------------------------------------------------------------------------- what it can do

    @abstractmethod
    def __len__(self) -> int:
        """Returns the vocabulary's size, V."""

    @abstractmethod
    def token_bytes(self, token: int) -> bytes:
        """Returns the UTF-8 bytes that an id stands for; at least one, and not always whole characters."""

    @abstractmethod
    def encode(self, text: str, unknown: str = "error") -> Tensor:
        """Encodes a text of M characters as ids (N,), int64.

        Args:
            text: any string.
            unknown: what to do with a character that can't be spelled: "error", "skip" (it is left out), or a
                character to take its place.

        Raises:
            UserError: an unknown character, with its name, its position and the nearest remedy.
        """

    # ----------------------------------------------------------------------- what follows; faster where it matters

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """Encodes a long text, a piece at a time: yields ids (n,) in parts, which need not be those of the pieces."""
        for piece in pieces:
            yield self.encode(piece).numpy()

    def decode(self, ids: Iterable[int] | Tensor | np.ndarray) -> str:
        """Decodes ids (N,) to text; bytes that are no whole character become U+FFFD."""
        return b"".join(map(self.token_bytes, as_list(ids))).decode("utf-8", "replace")

    def decoder(self) -> "Decoder":
        """Makes an incremental decoder, for one stream of ids."""
        return Decoder(self)

    def token_text(self, token: int) -> str:
        """Returns the text of one id, to be looked at: bytes that are no whole character are written as \\xNN."""
        return self.token_bytes(token).decode("utf-8", "backslashreplace")

    def clean(self, text: str) -> str:
        """Drops what can't be spelled; where nothing is left, a line break or else the first token. Never empty."""
        return self.decode(self.encode(text, "skip")) or self.decode(self.encode("\n", "skip")) or self.token_text(0)

    def spells(self, text: str) -> bool:
        """Tells whether each character of a text can be spelled."""
        try:
            self.encode(text)
        except UserError:
            return False
        return True

    @cached_property
    def token_lengths(self) -> np.ndarray:
        """(V, 2), int64: how many characters and how many UTF-8 bytes each token has.

        A character is counted with the token that holds its first byte, so that the sums over a text are exact.
        """
        tokens = [np.frombuffer(self.token_bytes(token), dtype=np.uint8) for token in range(len(self))]
        return np.array([(begins_character(token).sum(), len(token)) for token in tokens], dtype=np.int64)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.as_plain() == other.as_plain()

    def __hash__(self) -> int:
        return hash((self.kind, len(self)))


class Decoder:
    """Decodes ids one by one; bytes that may be the beginning of a character wait for its end."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token: int) -> str:
        """Decodes one more id: the text that is complete now, without what was complete before."""
        return self._utf8.decode(self._tokenizer.token_bytes(token))

    def rest(self) -> str:
        """Ends the stream: bytes that have waited in vain, as U+FFFD."""
        return self._utf8.decode(b"", final=True)


def token_ids(tokenizer: Tokenizer) -> dict[bytes, int]:
    """Returns each token's id by its bytes."""
    return {tokenizer.token_bytes(token): token for token in range(len(tokenizer))}


def listed(counts: Mapping[str, int]) -> str:
    """Names what occurs, the most frequent first, and how often; of many the first few."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = f" and {len(ordered) - SHOWN:,} more" if len(ordered) > SHOWN else ""
    return ", ".join(f"{name!r} {n:,} times" for name, n in ordered[:SHOWN]) + more


def begins_character(data: np.ndarray) -> np.ndarray:
    """Tells the first bytes of UTF-8 characters from the others, which are 10xxxxxx: (n,), uint8, to (n,), bool."""
    return data & 0xC0 != 0x80


def as_list(ids: Iterable[int] | Tensor | np.ndarray) -> list[int]:
    """Converts ids of any form to plain numbers."""
    return ids.tolist() if isinstance(ids, torch.Tensor | np.ndarray) else list(ids)
