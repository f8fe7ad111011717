"""Decodes a corpus to characters, every line end a newline, without byte order marks. A piece at a time."""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, NoReturn

from lightning_gpt.errors import UserError
from lightning_gpt.text import encodings, formats
from lightning_gpt.text.corpus import Corpus

if TYPE_CHECKING:
    from tqdm import tqdm

# what is known of a text when it has been read, by names that a card may hold
REMARKS = {
    "marked": "a byte order mark at the beginning was left out",
    "line ends": "its \\r line ends were made \\n",
    "no text": "it is not UTF-8 throughout: no text, and each of its bytes counts as a character",
}
ALSO_UTF8 = "also UTF-8"
CONTROL = re.compile("[^\\t\\n\\f -~\\u00a0-\\U0010ffff]")  # C0 but tab, line end and page break; C1
FOUND = frozenset({*REMARKS, ALSO_UTF8, *(f"U+{i:04X}" for i in range(0xA0) if CONTROL.match(chr(i)))})
BEFORE = 4096  # bytes before a fault that are looked at to find out what it is


def remarks_on(found: Mapping[str, int]) -> tuple[str, ...]:
    """Says what was done to a text: `DecodedText.found` in words."""
    return tuple(said for name, said in REMARKS.items() if name in found)


def warnings_of(found: Mapping[str, int], encoding: str | None) -> tuple[str, ...]:
    """Says what is suspicious about a text: `DecodedText.found` in words."""
    warnings = []
    controls = {name: count for name, count in found.items() if name.startswith("U+")}
    if nuls := controls.pop("U+0000", 0):
        warnings.append(f"it has {nuls:,} NULs (U+0000), which no text needs: is it one, and in this encoding?")
    if controls:
        names = ", ".join(sorted(controls)[:5]) + (", …" if len(controls) > 5 else "")
        upper = max(controls) >= "U+0080"
        remedy = "; letters of Windows-1252 look so in Latin-1: --data.encoding cp1252" if upper else ""
        warnings.append(f"it has {sum(controls.values()):,} control characters ({names}){remedy}")
    if files := found.get(ALSO_UTF8):
        which = "it was" if files == 1 else f"{files:,} files were"
        warnings.append(f"{which} read as {encoding}, but could be read as UTF-8, too: leave --data.encoding out?")
    return tuple(warnings)


class DecodedText:
    """A corpus as characters: decoded, every line end a "\\n", without byte order marks.

    Attributes:
        lengths: characters of each file; counted by the first reading to the end, as `bytes` and `found` are.
        bytes: of its UTF-8, as it is read.
        found: what was done to it and what is suspicious about it, names of FOUND, and how often.
    """

    def __init__(self, corpus: Corpus, bar: "tqdm[NoReturn]") -> None:
        self._corpus = corpus
        self._bar = bar
        self.lengths: tuple[int, ...] = ()
        self.bytes = 0
        self.found: dict[str, int] = {}

    @property
    def characters(self) -> int:
        """How many it has."""
        return sum(self.lengths)

    def pieces(self) -> Iterator[str]:
        """Yields the text from its beginning, about a mebibyte at a time.

        Raises:
            UserError: a file of another encoding or format, with the offset of the fault; or no text at all.
        """
        lengths, size, found = [], 0, Counter[str]()
        known = bool(self.lengths)  # then nothing is counted again
        for number, part in enumerate(self._corpus.parts, start=1):
            characters, last = 0, "\n"
            for piece in self._decoded(part.name, part.chunks(), None if known else found):
                characters += len(piece)
                last = piece[-1:] or last
                yield piece
                if not known:
                    size += len(piece) if piece.isascii() else len(piece.encode())
            if number < len(self._corpus.parts) and part.size and (last != "\n" or not characters):
                yield "\n"  # a file without one must not run into the next
                characters, size = characters + 1, size + 1
            lengths.append(characters)
        if not sum(lengths):
            raise UserError(f"the corpus {self._corpus.name} is empty: there is nothing to learn from")
        if not known:
            self.lengths, self.bytes, self.found = tuple(lengths), size, dict(+found)

    def between(self, start: int, end: int) -> Iterator[str]:
        """Yields the characters from number `start` up to `end`."""
        place = 0
        for piece in self.pieces():
            if place >= end:
                return
            if place + len(piece) > start:
                yield piece[max(start - place, 0) : end - place]
            place += len(piece)

    def _decoded(self, name: str, chunks: Iterator[bytes], found: Counter[str] | None) -> Iterator[str]:
        """Yields the text of one file; counts what is to be said of it, if that is not known."""
        lines = io.IncrementalNewlineDecoder(None, translate=True)
        utf8 = _MayBeUTF8(found is not None and self._corpus.encoding is not None)
        begun = marked = False
        for chunk, text in self._strictly(name, chunks):
            if text and not begun:  # the mark's bytes may come in several pieces
                begun, marked = True, text.startswith("\ufeff")
                text = text.removeprefix("\ufeff")
            self._bar.update(len(chunk))
            utf8.feed(chunk)
            text = lines.decode(text, final=not chunk)
            if found is not None and CONTROL.search(text):
                found.update(f"U+{ord(character):04X}" for character in CONTROL.findall(text))
            yield text
        if found is not None:
            ends = [lines.newlines] if isinstance(lines.newlines, str) else lines.newlines or ()
            found.update({"marked": marked, "line ends": bool(set(ends) - {"\n"}), ALSO_UTF8: utf8.is_so})

    def _strictly(self, name: str, chunks: Iterator[bytes]) -> Iterator[tuple[bytes, str]]:
        """Yields the chunks of one file, each with the text that is complete by then, and an empty one at the end.

        Raises:
            UserError: it is of another encoding, or no text.
        """
        encoding = self._corpus.encoding
        first = list(_beginning(chunks))
        head = b"".join(first)
        if other := formats.other_format(head, name):
            raise UserError(f"{name} is no plain text but {other}")
        if encoding is None and (marked := encodings.marked_encoding(head)):
            raise UserError(f"{name} is not UTF-8 text: it is {marked}, so read it with --data.encoding {marked}")
        decoder = codecs.getincrementaldecoder(encoding or "utf-8")()
        offset = 0
        for chunk in chain(first, chunks, [b""]):
            pending = len(decoder.getstate()[0])
            try:
                yield chunk, decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                # a codec that does not say where calls the whole chunk wrong
                data, start = (error.object, error.start) if isinstance(error, UnicodeDecodeError) else (chunk, 0)
                where = f"byte 0x{data[start]:02x} at offset {offset - pending + start}" if data else str(error)
                remedy = _remedy(head, data + next(chunks, b""), start, encoding)
                raise UserError(f"{name} is not {(encoding or 'utf-8').upper()} text: {where}; {remedy}") from None
            offset += len(chunk)


class _MayBeUTF8:
    """Finds out whether bytes are UTF-8 with more in it than ASCII; gives up at the first that is not."""

    def __init__(self, wanted: bool) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")() if wanted else None
        self._plain = True

    def feed(self, chunk: bytes) -> None:
        """Takes some more bytes; none are the end."""
        if self._decoder is not None:
            self._plain = self._plain and chunk.isascii()
            try:
                self._decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                self._decoder = None

    @property
    def is_so(self) -> bool:
        """The answer, after the end."""
        return self._decoder is not None and not self._plain


def _beginning(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields the first chunks, of `encodings.HEAD` bytes or more."""
    size = 0
    for chunk in chunks:
        yield chunk
        size += len(chunk)
        if size >= encodings.HEAD:
            return


def _remedy(head: bytes, data: bytes, start: int, encoding: str | None) -> str:
    """Says what a text is likely to be in that can't be decoded at data[start]."""
    first = max(start - BEFORE, 0)
    begin = data.find(b"\n", first, start) + 1 if first else 0
    sample = data[begin : begin + encodings.SAMPLE]
    if encoding is not None and encodings.is_utf8(sample):
        return "it is UTF-8, so leave --data.encoding out"
    if encoding is None and encodings.is_damaged_utf8(sample):
        return "most of it is, so bytes are damaged: iconv -f utf-8 -t utf-8 -c old.txt > new.txt leaves them out"
    marked = encodings.marked_encoding(head)
    likely = [marked] if marked else encodings.likely_encodings(sample)
    if not likely:
        return "no encoding was recognised in it: is it text? If you know its encoding, give --data.encoding"
    if len(likely) == 1:
        return f"it is probably {encodings.described(likely[0])}: read it with --data.encoding {likely[0]}"
    line = data[max(data.rfind(b"\n", 0, start) + 1, start - 30) : start + 20]
    read = [f"{encodings.described(name)}, which reads {line.decode(name, 'ignore')!r}" for name in likely]
    return f"it may be {'; or '.join(read)}: give the one that reads right, --data.encoding {likely[0]}"
