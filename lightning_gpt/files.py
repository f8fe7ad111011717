"""Files that are whole or not there, and folders that one process writes to. All that is kept goes through here."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A new file, open for writing bytes, that takes `path`'s place when the block ends well.

    It is written beside `path` and flushed to the disk before the rename, so whatever happens in between (an
    exception, a kill, a full disk, a power cut), `path` is the old file or the new one, never a part of it.
    """
    path = Path(path)
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
def held(folder: Path) -> Iterator[bool]:
    """Whether the folder is this process's alone inside the block; False: another process holds it.

    The operating system lets go of it when the process ends, however it ends. Windows is not asked.
    """
    if fcntl is None:
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)
