"""Writes files whole or not at all, fingerprints them, and locks folders. All that is saved goes through here."""

import errno
import hashlib
import os
import secrets
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def sha256(path: str | Path) -> str:
    """Computes the fingerprint of a file, in hexadecimal.

    Raises:
        OSError: it can't be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def must_name_a_file(path: str | Path) -> None:
    """Refuses a path that no file can have.

    Raises:
        IsADirectoryError: it is a folder's, or empty.
    """
    if Path(path).name in ("", "..") or Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(Path(path)))


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a new file for writing bytes, which replaces `path` atomically when the block ends well.

    It is written beside `path` and flushed to the disk before the rename, so whatever happens in between (an
    exception, a kill, a full disk, a power cut), `path` is the old file or the new one, never a part of it.

    Raises:
        OSError: it is a folder, or can't be written to.
    """
    path = Path(path)
    must_name_a_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Locks a folder for this process inside the block; yields False where another process has locked it.

    The operating system unlocks it when the process ends, however it ends. On Windows nothing is locked.
    """
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        while not (mine := _lock(handle, fcntl.LOCK_EX)) and _lock(handle, fcntl.LOCK_SH):
            fcntl.flock(handle, fcntl.LOCK_UN)  # somebody only looked, see below
        yield mine
    finally:
        os.close(handle)


def is_locked(folder: Path) -> bool | None:
    """Returns whether a process has locked the folder, see `locked`; None where that can't be told.

    To look takes a lock that can be shared, for an instant. It keeps nobody from locking the folder.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        return not _lock(handle, fcntl.LOCK_SH)
    except OSError:  # a file system without locks
        return None
    finally:
        os.close(handle)


def _lock(handle: int, kind: int) -> bool:
    """Takes a lock of an open file, if nobody's keeps it from that."""
    import fcntl

    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def must_not_swell(path: Path) -> None:
    """Refuses an archive of torch's that would take more memory than it takes disk: torch compresses nothing.

    Raises:
        ValueError, zipfile.BadZipFile: it is one, or no archive.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise ValueError("it would swell when it is read")
