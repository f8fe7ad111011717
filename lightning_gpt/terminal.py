"""Writes to a terminal, or to whatever stands for it: lines in colour, no wider than the window; streams that may go.

What is written to a standard stream is told to somebody who may have left (`| head`, a closed terminal), or has no room
(a full disk). That is no reason to lose a run.
"""

import io
import logging
import os
import select
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}
HEAD = 9  # columns of a row's head


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Styles the text, if the stream (standard output) is a terminal and NO_COLOR is not set."""
    stream = stream or sys.stdout
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if not styles or not wanted or stream is None or not stream.isatty():
        return text
    codes = ";".join(str(CODES[style]) for style in styles)
    return f"\033[{codes}m{text}\033[0m"


def visible(text: str) -> str:
    """Replaces control characters, which could make a terminal do things, by a mark; a line break stays."""
    return "".join(c if c.isprintable() or c == "\n" else "□" for c in text)


def row(head: str, text: str, *styles: str) -> str:
    """Formats a row of a card, wrapped to the window if there is one; its head, or all of it, in these styles."""
    width = shutil.get_terminal_size((0, 0)).columns  # a pipe has none
    lines = textwrap.wrap(text, max(width - HEAD, 20), break_long_words=False) if width else [text]
    body = f"\n{'':{HEAD}}".join(styled(line, *styles) for line in lines)
    return styled(f"{head:{HEAD}}", "bold", *styles) + body


@contextmanager
def quiet(name: str, least: int = logging.WARNING) -> Iterator[None]:
    """Lets a library's logger, inside the block, say only what is at least so grave."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(least)
    try:
        yield
    finally:
        logger.setLevel(before)


class Outlet(io.RawIOBase):
    """A standard stream's file, which never fails: what can't be written is dropped.

    Attributes:
        lost: why something was dropped, if it was.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.lost: OSError | None = None

    def writable(self) -> bool:
        """Returns that it is."""
        return True

    def fileno(self) -> int:
        """Returns the file's own number."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Returns whether the file is a terminal."""
        return self._file.isatty()

    def write(self, data: Any) -> int:
        """Writes bytes, or drops them; waits for a pipe that is full and would not wait by itself."""
        try:
            while (written := self._file.write(data)) is None:
                select.select([], [self._file], [])
            return written
        except OSError as error:
            self.lost = error
            return len(data)


def open_streams() -> None:
    """Makes the standard streams such that no write to them fails. A closed one becomes the null device.

    Else its number is given to the next file that is opened, and whoever writes to "standard error" writes into that.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # has the lowest number that is free: this one
            os.set_inheritable(null, True)
            setattr(sys, name, os.fdopen(null, mode, encoding="utf-8", closefd=False))
    sys.stdout, sys.stderr = _lasting(sys.stdout, "replace"), _lasting(sys.stderr, "backslashreplace")


def _lasting(stream: Any, errors: str) -> TextIO:
    """Puts an `Outlet` between a text stream and its file."""
    encoding, buffer = stream.encoding, stream.detach()
    file = buffer.detach() if isinstance(buffer, io.BufferedWriter) else buffer  # python -u has no buffer
    return io.TextIOWrapper(io.BufferedWriter(Outlet(file)), encoding, errors, line_buffering=True)


def lost_output() -> OSError | None:
    """Returns why standard output could not be written to; None if it could, or is not ours to know."""
    file = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(file, Outlet):
        return None
    sys.stdout.flush()
    return file.lost
