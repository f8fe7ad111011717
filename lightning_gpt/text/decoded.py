"""Decodes a corpus: UTF-8 to characters, every line end a newline, without byte order marks. A piece at a time."""

import codecs
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from lightning_gpt.errors import UserError
from lightning_gpt.text.corpus import Corpus

if TYPE_CHECKING:
    from tqdm import tqdm

REMARKS = {
    "marked": "a byte order mark at the beginning was left out",
    "line ends": "its \\r line ends were made \\n",
    "no text": "it is not UTF-8 throughout: no text, and each of its bytes counts as a character",
}


class DecodedText:
    """A corpus as characters: UTF-8 decoded, every line end a "\\n", without byte order marks.

    Attributes:
        characters: how many it has; counted by the first reading to the end, as `bytes` and `remarks` are.
        bytes: of its UTF-8, as it is read.
        remarks: what was done to it, names among REMARKS.
    """

    def __init__(self, corpus: Corpus, bar: "tqdm[NoReturn]") -> None:
        self._corpus = corpus
        self._bar = bar
        self.characters = 0
        self.bytes = 0
        self.remarks: tuple[str, ...] = ()

    def pieces(self) -> Iterator[str]:
        """Yields the text from its beginning, about a mebibyte at a time.

        Raises:
            UserError: bytes that are not UTF-8, with their offset; or no text at all.
        """
        characters, size, remarks = 0, 0, set()
        for name, part in self._corpus.parts:
            utf8 = codecs.getincrementaldecoder("utf-8")()
            lines = io.IncrementalNewlineDecoder(None, translate=True)
            offset, begun = 0, False
            for chunk in _and_the_end(part()):
                pending = len(utf8.getstate()[0])
                try:
                    text = utf8.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    raise UserError(
                        f"{name} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at offset "
                        f"{offset - pending + error.start}; save it as UTF-8 (iconv -f latin1 -t utf-8) and try again"
                    ) from None
                if text and not begun:  # the mark's bytes may come in several pieces
                    begun = True
                    if text.startswith("\ufeff"):
                        remarks.add("marked")
                    text = text.removeprefix("\ufeff")
                offset += len(chunk)
                self._bar.update(len(chunk))
                text = lines.decode(text, final=not chunk)
                characters += len(text)
                size += len(text) if text.isascii() else len(text.encode())
                yield text
            ends = [lines.newlines] if isinstance(lines.newlines, str) else lines.newlines or ()
            if set(ends) - {"\n"}:
                remarks.add("line ends")
        if characters == 0:
            raise UserError(f"the corpus {self._corpus.name} is empty: there is nothing to learn from")
        self.characters, self.bytes = characters, size
        self.remarks = tuple(name for name in REMARKS if name in remarks)

    def between(self, start: int, end: int) -> Iterator[str]:
        """Yields the characters from number `start` up to `end`."""
        place = 0
        for piece in self.pieces():
            if place >= end:
                return
            if place + len(piece) > start:
                yield piece[max(start - place, 0) : end - place]
            place += len(piece)


def _and_the_end(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b""
