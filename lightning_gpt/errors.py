"""What a user can mend, and a run that was told to stop. Not for broken invariants: those are asserts."""

import difflib
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """A mistake in what was asked for, said in one line with its remedy. The command line exits with 2."""

    @classmethod
    def of(cls, problems: Sequence[str]) -> "UserError":
        """Makes one error of several problems: a line each, so that all can be mended at once."""
        assert problems
        if len(problems) == 1:
            return cls(problems[0])
        return cls("\n".join([f"{len(problems)} problems:", *(f"  {problem}" for problem in problems)]))


class Interrupted(Exception):
    """A run that was told to stop has been saved and has stopped.

    Attributes:
        signal: the number of the signal that told it.
        step: optimizer steps done.
        path: the checkpoint to go on from.
    """

    def __init__(self, number: int, step: int, path: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}, saved as {path}")
        self.signal = number
        self.step = step
        self.path = path


@contextmanager
def collecting(problems: list[str]) -> Iterator[None]:
    """Adds a UserError inside the block to `problems` instead of raising it; the block ends there."""
    try:
        yield
    except UserError as error:
        if str(error) not in problems:
            problems.append(str(error))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that is most like this one, if one is."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None
