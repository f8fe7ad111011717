"""Maps files of ids into memory, and reads them in pieces, the memory released after each."""

import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PIECE = 1_000_000  # tokens looked at in one go


def map_ids(path: Path, dtype: str) -> np.ndarray:
    """Memory-maps the ids (N,) in a file, read-only."""
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=dtype)


def release(ids: np.ndarray) -> None:
    """Frees the memory that mapped ids, or a slice of them, have taken; they are read again where they are needed.

    A read maps up to megabytes around it, which must not add up to the whole text. An array that lies in no file
    stays as it is.
    """
    base: object = ids
    while isinstance(base, np.ndarray):
        base = base.base
    file = base.obj if isinstance(base, memoryview) else base
    if isinstance(file, mmap.mmap) and hasattr(file, "madvise"):  # not on Windows
        file.madvise(mmap.MADV_DONTNEED)


def pieces(ids: np.ndarray, overlap: int = 0) -> Iterator[np.ndarray]:
    """Yields ids (N,) in parts, each beginning with the last `overlap` tokens of the one before; releases each."""
    for start in range(0, max(len(ids) - overlap, 0), PIECE):
        yield ids[start : start + PIECE + overlap]
        release(ids)


def token_counts(ids: np.ndarray, vocab_size: int) -> np.ndarray:
    """Counts how often each token occurs in ids (N,), (V,)."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    for piece in pieces(ids):
        counts += np.bincount(piece, minlength=vocab_size)
    return counts
