"""Writes files whole or not at all, and locks folders. All that is saved goes through here."""

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


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
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)
