"""Finds a corpus: a named source, files, folders, an artifact of W&B. Does not split it into tokens: see `prepared`."""

import hashlib
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_gpt.errors import UserError
from lightning_gpt.terminal import visible
from lightning_gpt.text.addition import addition
from lightning_gpt.text.artifacts import ARTIFACT, fetched_artifact
from lightning_gpt.text.download import OutOfReach, download
from lightning_gpt.text.encodings import checked_encoding
from lightning_gpt.text.paths import Found, Named, checked_endings, find_files, must_be_a_file, written
from lightning_gpt.text.tensors import are_tensors, read_tensors

MIRROR_VARIABLE = "LIGHTNING_GPT_MIRROR"
CHUNK = 1 << 20  # bytes
ENDINGS = ".txt"  # of a folder's texts


@dataclass(frozen=True)
class Source:
    """A text with a name, an address, a fingerprint, and a length that it does not exceed, in bytes."""

    url: str
    sha256: str
    size: int = 100_000_000


SOURCES = {
    "tinyshakespeare": Source(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        1_115_394,
    ),
}
EMBEDDED = "python-docs"


def _python_docs() -> Iterator[bytes]:
    """Yields the language reference that every CPython carries for its `help()`, topics in sorted order."""
    from pydoc_data.topics import topics

    yield "\n\n".join(topics[name] for name in sorted(topics)).encode()


# corpora that are made here, by name
MADE: dict[str, Callable[[], Iterator[bytes]]] = {EMBEDDED: _python_docs, "addition": addition}


@dataclass(frozen=True)
class Part:
    """A file of a corpus.

    Attributes:
        name: what it is called.
        size: bytes.
        chunks: makes an iterator over its bytes, about a mebibyte at a time.
    """

    name: str
    size: int
    chunks: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Corpus:
    """A text as a stream of bytes, read anew each time, so that its length does not matter.

    Attributes:
        name: "tinyshakespeare", or the file's or folder's own name.
        parts: its files, in order.
        encoding: of its bytes, by Python's name; None: UTF-8.
        remarks: what was said when its files were looked for.
        instead_of: the corpus that was wanted and why it can't be had, if this one is its stand-in.
        train_fraction: the share of its characters that is trained on, where it comes split.
    """

    name: str
    parts: tuple[Part, ...]
    encoding: str | None = None
    remarks: tuple[str, ...] = ()
    instead_of: str | None = None
    train_fraction: float | None = None

    @property
    def size(self) -> int:
        """Bytes, all in all."""
        return sum(part.size for part in self.parts)

    def chunks(self) -> Iterator[bytes]:
        """Yields all bytes; a file without a line end does not run into the next."""
        for number, part in enumerate(self.parts, start=1):
            last = b""
            for chunk in part.chunks():
                yield chunk
                last = chunk
            if last and number < len(self.parts) and not last.endswith(b"\n"):
                yield b"\n"

    def sha256(self) -> str:
        """Computes the fingerprint of the bytes, in hexadecimal."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def find_corpus(
    corpus: Named,
    data_dir: str | Path = "data",
    offline: str | None = EMBEDDED,
    endings: str = ENDINGS,
    encoding: str | None = None,
    fetch: bool = True,
) -> Corpus:
    """Finds a corpus: by a source's name, by one of MADE, by an artifact's, or by paths to text files and folders.

    A folder of tensors is a corpus that comes split, see `tensors`; an artifact is a folder, see `artifacts`. A source
    is looked for in `data_dir`, then in the mirror that LIGHTNING_GPT_MIRROR names (a folder or a base URL), then at
    its own address; what was found elsewhere is copied into `data_dir`.

    Args:
        corpus: a name, or what `find_files` takes: a path, a pattern, or several of them.
        data_dir: the folder that sources are saved in.
        offline: the corpus to take where a source can't be had; None makes that an error.
        endings: of the files that are read in folders, as ".txt,.md".
        encoding: of the files, by Python's name; None: UTF-8. A named source has its own.
        fetch: whether W&B may be asked for an artifact that is not in `data_dir`.

    Raises:
        UserError: no such corpus, nothing to read in it, or out of reach and `offline` is None; no such encoding.
    """
    ends, encoding = checked_endings(endings), checked_encoding(encoding)
    name = written(corpus)
    if made := MADE.get(name):
        return Corpus(name, (Part(name, sum(map(len, made())), made),))
    if name.startswith(ARTIFACT):
        corpus = str(fetched_artifact(name, Path(data_dir), fetch))
    if isinstance(corpus, str) and are_tensors(Path(corpus)):
        return _of_tensors(Path(corpus))
    if name not in SOURCES:
        return _of_files(find_files(corpus, ends, [*SOURCES, *MADE]), name, encoding)
    try:
        return Corpus(name, (_part(_fetched(name, SOURCES[name], Path(data_dir))),))
    except OutOfReach as error:
        if offline is None:
            raise UserError(
                f"the corpus {name} can't be had ({error}): put it at {Path(data_dir) / name / 'input.txt'}, "
                f"name a mirror in {MIRROR_VARIABLE}, or train on another text with --data.corpus"
            ) from None
        stand_in = find_corpus(offline, data_dir, None, endings, encoding)
        return replace(stand_in, instead_of=f"{name} ({error})")


def _of_tensors(folder: Path) -> Corpus:
    text = read_tensors(folder)
    train, val = text.lengths()
    # in the middle between two characters, so that no rounding moves the split to another
    fraction = (train.characters + 0.5) / (train.characters + val.characters)
    part = Part(str(folder), train.bytes + val.bytes, text.chunks)
    remarks = (*text.remarks, f"comes split: its last {val.characters:,} characters are held out")
    return Corpus(_shown(folder.resolve().name), (part,), remarks=remarks, train_fraction=fraction)


def _of_files(found: Found, named: str, encoding: str | None) -> Corpus:
    try:
        parts = tuple(map(_part, found.files))
    except OSError as error:
        raise _unreadable(error, named) from error
    if not any(part.size for part in parts):
        raise UserError(f"{named} is empty: there is nothing to learn from")
    return Corpus(_shown(found.name), parts, encoding, (str(found),) if len(parts) > 1 or found.left_out else ())


def _shown(name: str) -> str:
    """Makes a file's name one to print: it may hold anything, half characters, escapes, line breaks."""
    return visible(name.encode("utf-8", "backslashreplace").decode()).replace("\n", "□")


def _part(path: Path) -> Part:
    def chunks() -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as error:
            raise _unreadable(error, str(path)) from error

    return Part(str(path), path.stat().st_size, chunks)


def _unreadable(error: OSError, path: str) -> UserError:
    return UserError(f"can't read {error.filename or path}: {error.strerror or error}")


def _fetched(name: str, source: Source, data_dir: Path) -> Path:
    """Returns the path of the source's file in `data_dir`, fetched if need be.

    Raises:
        UserError: a file with another text lies there. It is not used and not touched.
        OutOfReach: no place has it.
    """
    path = data_dir / name / "input.txt"
    try:
        if path.exists():
            must_be_a_file(path)
            if path.stat().st_size > source.size or Corpus(name, (_part(path),)).sha256() != source.sha256:
                raise UserError(
                    f"{path} is not {name} as published (its SHA-256 is not {source.sha256[:12]}…): move it away, "
                    f"or train on it as a text of your own with --data.corpus {shlex.quote(str(path))}"
                )
            return path
    except OSError as error:
        raise _unreadable(error, str(path)) from error
    places = [source.url]
    if mirror := os.environ.get(MIRROR_VARIABLE):
        places.insert(0, f"{mirror.rstrip('/')}/{name}/input.txt")
    failures = []
    for place in places:
        try:
            download(place, path, source.sha256, source.size)
        except OutOfReach as error:
            failures.append(str(error))
        else:
            return path
    raise OutOfReach("; ".join(failures))
