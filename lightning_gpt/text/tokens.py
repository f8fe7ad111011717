"""A corpus prepared once: a file of numbers as small as the vocabulary allows, memory-mapped ever after."""

import codecs
import io
import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.text.corpus import Corpus
from lightning_gpt.text.vocabulary import Vocabulary, code_points

if TYPE_CHECKING:
    from tqdm import tqdm

FORMAT = 1  # raised when the files' meaning changes, so that old ones are made anew
CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Tokens:
    """A corpus as numbers.

    Attributes:
        ids: (N,), uint8, uint16 or uint32: the prepared file, mapped and read-only.
        vocabulary: what the numbers stand for.
        corpus: the text's name.
        sha256: fingerprint of the text's bytes.
        remarks: what was done to the text on its way ("\\r\\n" to "\\n", a byte order mark left out).
    """

    ids: np.ndarray
    vocabulary: Vocabulary
    corpus: str
    sha256: str
    remarks: tuple[str, ...]
    file: mmap.mmap

    def split(self, train_fraction: float) -> tuple[np.ndarray, np.ndarray]:
        """The first part of the text, to train on, and the rest, held out."""
        n = int(train_fraction * len(self.ids))
        return self.ids[:n], self.ids[n:]

    def release(self) -> None:
        """Gives back the memory of what was read so far; the operating system reads it again where it is needed."""
        if hasattr(self.file, "madvise"):  # not on Windows
            self.file.madvise(mmap.MADV_DONTNEED)


def prepare(corpus: Corpus, folder: str | Path) -> Tokens:
    """The corpus' tokens, from `folder` if they were prepared before, else written there first.

    The files are named after the text's checksum, so a changed text is prepared anew; they are renamed into place
    when whole, so that processes that prepare the same text at once do not disturb each other.

    Raises:
        UserError: the text is empty, not UTF-8, or the folder can't be written to.
    """
    sha256 = corpus.sha256()
    folder = Path(folder)
    card_path = folder / f"{sha256[:16]}.v{FORMAT}.json"
    ids_path = card_path.with_suffix(".ids")
    card = _read_card(card_path, ids_path)
    if card is None:
        try:
            card = _write(corpus, ids_path, card_path)
        except OSError as error:
            raise UserError(f"can't keep the prepared text in {folder}: {error.strerror or error}") from error
    with ids_path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    ids = np.frombuffer(mapped, dtype=card["dtype"])
    return Tokens(ids, Vocabulary(card["vocabulary"]), corpus.name, sha256, tuple(card["remarks"]), mapped)


def _read_card(card_path: Path, ids_path: Path) -> dict[str, Any] | None:
    """The card, if it and the ids it describes lie there whole."""
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        whole = ids_path.stat().st_size == card["length"] * np.dtype(card["dtype"]).itemsize
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return card if whole else None


def _write(corpus: Corpus, ids_path: Path, card_path: Path) -> dict[str, Any]:
    """Two passes over the text, a chunk at a time: which characters there are, then their numbers."""
    seen = np.zeros(CODE_POINTS, dtype=bool)
    length = 0
    remarks: list[str] = []
    with progress(corpus) as bar:
        for text in _decoded(corpus, remarks, bar):
            seen[code_points(text)] = True
            length += len(text)
        if length == 0:
            raise UserError(f"the corpus {corpus.name} is empty: there is nothing to learn from")
        codes = np.flatnonzero(seen)
        dtype = np.min_scalar_type(len(codes) - 1)
        number = np.zeros(CODE_POINTS, dtype=dtype)
        number[codes] = np.arange(len(codes), dtype=dtype)
        with replacing(ids_path) as file:
            for text in _decoded(corpus, [], bar):
                file.write(number[code_points(text)].tobytes())
    vocabulary = "".join(map(chr, codes))
    card = {"vocabulary": vocabulary, "length": length, "dtype": dtype.name, "remarks": remarks, "text": corpus.name}
    with replacing(card_path) as file:  # last: where it lies, the ids are whole
        file.write(json.dumps(card).encode())
    return card


def progress(corpus: Corpus) -> "tqdm[NoReturn]":
    """A bar for two passes over the corpus, shown on a terminal and only where it takes long."""
    from tqdm import tqdm

    return tqdm(
        total=2 * corpus.size, unit="B", unit_scale=True, desc=f"preparing {corpus.name}", leave=False, delay=1.0,
        disable=None,
    )  # fmt: skip


def _decoded(corpus: Corpus, remarks: list[str], bar: "tqdm[NoReturn]") -> Iterator[str]:
    """The text in pieces, every line end a "\\n", without byte order marks; adds to `remarks` at its end.

    Raises:
        UserError: bytes that are not UTF-8, with their offset.
    """
    marked = False
    ends: set[str] = set()
    for name, part in corpus.parts:
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
                marked |= text.startswith("\ufeff")
                text = text.removeprefix("\ufeff")
            offset += len(chunk)
            bar.update(len(chunk))
            yield lines.decode(text, final=not chunk)
        ends.update([lines.newlines] if isinstance(lines.newlines, str) else lines.newlines or ())
    if marked:
        remarks.append("a byte order mark at the beginning was left out")
    if ends - {"\n"}:
        remarks.append("its \\r line ends were made \\n")


def _and_the_end(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b""
