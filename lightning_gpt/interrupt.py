"""Ctrl-C in a process of our own: at whatever instant it comes, the process ends in one line.

Python's own handler raises KeyboardInterrupt wherever the process happens to be: in the middle of an import, whose C
code makes another error of it, or in a destructor, which prints and forgets it. A run that trains has a handler of its
own, see `training.checkpoints`.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # see lightning_gpt/__init__.py
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, NoReturn

SAID = "\nlightning-gpt: stopped\n"
STATUS = 128 + signal.SIGINT

_came = False
_next_ends = False


def take_over() -> None:
    """Replaces Python's handler, unless whoever started this process has it ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_interrupt)
        sys.unraisablehook, sys.excepthook = _on_unraisable, _on_uncaught


def let_go() -> None:
    """Leaves Ctrl-C to the operating system, which ends the process without a word; its work is done."""
    if signal.getsignal(signal.SIGINT) is _on_interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def came() -> bool:
    """Returns whether there was one; an error after it is only how some library put it."""
    return _came


def end_at_next() -> None:
    """Makes the next one end the process: an exception in the middle of a save could leave a lock behind it held."""
    global _next_ends
    _next_ends = True


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, for what is open to be closed; ends the process the second time, or in an import."""
    global _came
    if _came or _next_ends or _imports(frame):
        _end()
    _came = True
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _on_unraisable(lost: Any) -> None:
    """Ends the process where the interrupt would be forgotten."""
    if issubclass(lost.exc_type, KeyboardInterrupt):
        _end()
    sys.__unraisablehook__(lost)


def _on_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Ends the process where the command line does not catch it: before it has begun, or after its end."""
    if issubclass(kind, KeyboardInterrupt):
        _end()
    sys.__excepthook__(kind, error, traceback)


def _end() -> NoReturn:
    try:
        os.write(2, SAID.encode())
    finally:
        os._exit(STATUS)
