"""Errors that reach the user: a mistake to mend, a run that was stopped. Broken invariants are asserts."""

import difflib
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """A user's mistake, reported in one line with its remedy. The command line exits with 2."""

    MOST = 20  # problems that are told at once

    @classmethod
    def of(cls, problems: Sequence[str]) -> "UserError":
        """Makes one error of several problems: a line each, so that all can be mended at once; of many the first."""
        assert problems
        if len(problems) == 1:
            return cls(problems[0])
        more = [f"  and {len(problems) - cls.MOST} more"] if len(problems) > cls.MOST else []
        shown = [f"  {problem}" for problem in problems[: cls.MOST]]
        return cls("\n".join([f"{len(problems)} problems:", *shown, *more]))


class Interrupted(Exception):
    """Raised when a signal or a request has stopped a run, after the run was saved.

    Attributes:
        signal: the signal's number; of a request Ctrl-C's, for it is the same by other means.
        step: optimizer steps done.
        path: the checkpoint to go on from.
    """

    def __init__(self, number: int | None, step: int, path: Path) -> None:
        by = "a request" if number is None else signal.Signals(number).name
        super().__init__(f"stopped by {by} after step {step}, saved as {path}")
        self.signal = signal.SIGINT if number is None else number
        self.step = step
        self.path = path


@contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Collects a UserError of the block in `problems` instead of raising it; the block ends there."""
    try:
        yield
    except UserError as error:
        if str(error) not in problems:
            problems.append(str(error))


def in_a_line(error: BaseException) -> str:
    """Names what others have raised: its type, and the first line of what it says."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line[:200]}" if line else type(error).__name__


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Suggests the known name that is most like this one; if none is, `otherwise`, or all that there are."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {found[0]}?" if found else otherwise or f"there are {', '.join(known)}"
