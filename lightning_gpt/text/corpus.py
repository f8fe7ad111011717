"""Finds a corpus: a named source, a file, a folder. Does not split it into tokens: see `prepared`."""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing

MIRROR_VARIABLE = "LIGHTNING_GPT_MIRROR"
TIMEOUT = 20.0  # seconds without a byte before an address counts as out of reach
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Source:
    """A text with a name, an address and a fingerprint."""

    url: str
    sha256: str


SOURCES = {
    "tinyshakespeare": Source(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}
EMBEDDED = "python-docs"


@dataclass(frozen=True)
class Corpus:
    """A text as a stream of bytes, read anew each time, so that its length does not matter.

    Attributes:
        name: "tinyshakespeare", or the file's or folder's own name.
        parts: its files in order: what each is called, and what makes an iterator over its bytes.
        size: bytes, all in all.
        instead_of: the corpus that was wanted and why it can't be had, if this one is its stand-in.
    """

    name: str
    parts: tuple[tuple[str, Callable[[], Iterator[bytes]]], ...]
    size: int
    instead_of: str | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yields all bytes, about a mebibyte at a time."""
        for _, part in self.parts:
            yield from part()

    def sha256(self) -> str:
        """Computes the fingerprint of the bytes, in hexadecimal."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def find_corpus(corpus: str, data_dir: str | Path = "data", offline: str | None = EMBEDDED) -> Corpus:
    """Finds a corpus: by a source's name, by "python-docs", or by a path to a text file or a folder of .txt files.

    A source is looked for in `data_dir`, then in the mirror that LIGHTNING_GPT_MIRROR names (a folder or a base
    URL), then at its own address; what was found elsewhere is copied into `data_dir`.

    Args:
        corpus: name or path.
        data_dir: the folder that sources are saved in.
        offline: the corpus to take where a source can't be had; None makes that an error.

    Raises:
        UserError: no such corpus, nothing to read in it, or out of reach and `offline` is None.
    """
    if corpus == EMBEDDED:
        return Corpus(EMBEDDED, ((EMBEDDED, _python_docs),), sum(map(len, _python_docs())))
    if not corpus.strip():
        raise UserError("the corpus has no name: name a text, or . for the folder here")
    if corpus not in SOURCES:
        return _from_path(corpus)
    try:
        return _from_files(corpus, [_fetched(corpus, SOURCES[corpus], Path(data_dir))])
    except _OutOfReach as error:
        if offline is None:
            raise UserError(
                f"the corpus {corpus} can't be had ({error}): put it at {Path(data_dir) / corpus / 'input.txt'}, "
                f"name a mirror in {MIRROR_VARIABLE}, or train on another text with --data.corpus"
            ) from None
        stand_in = find_corpus(offline, data_dir, offline=None)
        return replace(stand_in, instead_of=f"{corpus} ({error})")


class _OutOfReach(Exception):
    """Says where a source was looked for and what came of it."""


def _from_files(name: str, paths: list[Path]) -> Corpus:
    def reader(path: Path) -> Callable[[], Iterator[bytes]]:
        def chunks() -> Iterator[bytes]:
            last = b""
            with path.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
                    last = chunk
            if last and path != paths[-1] and not last.endswith(b"\n"):
                yield b"\n"  # a file without one must not run into the next

        return chunks

    return Corpus(name, tuple((str(path), reader(path)) for path in paths), sum(path.stat().st_size for path in paths))


def _from_path(corpus: str) -> Corpus:
    path = Path(corpus)
    with suppress(RuntimeError):  # ~nobody: there is no such user, but may be such a file
        path = path.expanduser()
    try:
        paths = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
        if not path.exists():
            names = ", ".join([*SOURCES, EMBEDDED])
            raise UserError(f"no corpus {corpus!r}: it is neither a file, nor a folder, nor one of {names}")
        if not paths:
            raise UserError(f"no .txt file in the folder {corpus}")
        if not any(p.stat().st_size for p in paths):
            raise UserError(f"{corpus} is empty: there is nothing to learn from")
        for p in paths:
            p.open("rb").close()
    except OSError as error:
        raise UserError(f"can't read {error.filename or corpus}: {error.strerror or error}") from error
    return _from_files(path.resolve().name, paths)


def _python_docs() -> Iterator[bytes]:
    """Yields the language reference that every CPython carries for its `help()`, topics in sorted order."""
    from pydoc_data.topics import topics

    yield "\n\n".join(topics[name] for name in sorted(topics)).encode()


def _fetched(name: str, source: Source, data_dir: Path) -> Path:
    """Returns the path of the source's file in `data_dir`, fetched if need be.

    Raises:
        UserError: a file with another text lies there. It is not used and not touched.
        _OutOfReach: no place has it.
    """
    path = data_dir / name / "input.txt"
    if path.exists():
        if _from_files(name, [path]).sha256() != source.sha256:
            raise UserError(
                f"{path} is not {name} as published (its SHA-256 is not {source.sha256[:12]}…): move it away, "
                f"or train on it as a text of your own with --data.corpus {path}"
            )
        return path
    places = [source.url]
    if mirror := os.environ.get(MIRROR_VARIABLE):
        places.insert(0, f"{mirror.rstrip('/')}/{name}/input.txt")
    failures = []
    for place in places:
        try:
            _bring(place, path, source.sha256)
        # URLError is an OSError, a bad address a ValueError, a broken answer an HTTPException
        except (OSError, ValueError, http.client.HTTPException) as error:
            failures.append(f"{place}: {getattr(error, 'reason', None) or getattr(error, 'strerror', None) or error}")
        else:
            return path
    raise _OutOfReach("; ".join(failures))


def _bring(place: str, path: Path, sha256: str) -> None:
    """Copies the file at `place`, a path or a URL, to `path`: whole and with this checksum, or not at all."""
    url = place if "://" in place else Path(place).absolute().as_uri()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as stream:
        total = int(stream.headers.get("Content-Length") or 0)
        with replacing(path) as file:
            digest = hashlib.sha256()
            for chunk in _with_progress(stream, None if url.startswith("file:") else place, total):
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != sha256:
                raise ValueError(f"its SHA-256 is not {sha256[:12]}…")


def _with_progress(stream: BinaryIO, label: str | None, total: int) -> Iterator[bytes]:
    """Yields the stream's chunks; with a label, shows a progress bar."""
    from tqdm import tqdm

    with tqdm(desc=label, total=total or None, unit="B", unit_scale=True, disable=label is None) as bar:
        while chunk := stream.read(CHUNK):
            bar.update(len(chunk))
            yield chunk
