"""Bytes as tokens: an id is a byte's value. Nothing is learned and nothing is unknown, in any file whatever it is."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.tokens.surrogates import NO_BYTE, mended
from lightning_gpt.tokens.tokenizer import Pieces, Tokenizer, as_list


class Bytes(Tokenizer):
    """The 256 bytes. A character of UTF-8 takes one to four of them.

    >>> Bytes().encode("né").tolist()
    [110, 195, 169]
    """

    kind = "bytes"
    unit = "byte"
    reads_any_file = True

    @classmethod
    def learn(cls, text: Pieces, vocab_size: int | None) -> "Bytes":
        """Returns the one that there is."""
        return cls()

    def as_plain(self) -> dict[str, Any]:
        """See `Tokenizer.as_plain`."""
        return {"kind": self.kind}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Bytes":
        """See `Tokenizer.of_plain`."""
        return cls()

    def __len__(self) -> int:
        return 256

    def token_bytes(self, token: int) -> bytes:
        """Returns the byte."""
        return bytes([token])

    def encode(self, text: str, unknown: str = "error") -> Tensor:
        """Encodes a text as ids (N,), int64; see `Tokenizer.encode`."""
        return torch.from_numpy(as_ids(mended(text, unknown, NO_BYTE)).astype(np.int64))

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """See `Tokenizer.encode_pieces`."""
        return map(as_ids, pieces)

    def decode(self, ids: Iterable[int] | Tensor | np.ndarray) -> str:
        """Decodes ids (N,) to text; bytes that are no whole character become U+FFFD."""
        return bytes(as_list(ids)).decode("utf-8", "replace")


def as_ids(text: str) -> np.ndarray:
    """Converts a text to its bytes (N,), uint8."""
    return np.frombuffer(text.encode("utf-8", "surrogateescape"), dtype=np.uint8)
