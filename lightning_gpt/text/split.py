"""Decides where the training text ends and the held-out text begins. The one place that does."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from lightning_gpt.errors import UserError

SPLITS = ("characters", "files")


@dataclass(frozen=True)
class Split:
    """A rule for splitting a text; what comes first is trained on, the rest is held out.

    Attributes:
        fraction: the share of the text's characters that is to be trained on.
        by: "characters": at that very character. "files": between two files, as near to it as can be, so that none is
            read in part and held out in part.
    """

    fraction: float = 0.9
    by: str = "characters"

    def __post_init__(self) -> None:
        if not 0.0 < self.fraction < 1.0:
            raise UserError(f"data.train_fraction must lie between 0 and 1, not {self.fraction}")
        if self.by not in SPLITS:
            raise UserError(f"data.split must be {' or '.join(SPLITS)}, not {self.by!r}")

    def __str__(self) -> str:
        share = f"the first {self.fraction:.0%} of the text"
        return share if self.by == "characters" else f"{share}, up to the end of a file,"

    def key(self, sizes: Sequence[int]) -> str:
        """Names the split of files of these sizes, in bytes: a part of a file's name."""
        if self.by == "characters":
            return f"{self.fraction!r}"
        return f"{self.fraction!r}.files.{zlib.crc32(repr(list(sizes)).encode()):08x}"

    def place(self, lengths: Sequence[int], corpus: str) -> tuple[int, int]:
        """Decides how many characters are trained on, and how many whole files are held out.

        Args:
            lengths: characters of each file.
            corpus: the text's name.

        Raises:
            UserError: there are no two files with text to split between.
        """
        total = sum(lengths)
        if self.by == "characters":
            return int(self.fraction * total), 0
        ends = list(accumulate(lengths))
        between = [(end, number) for number, end in enumerate(ends, start=1) if 0 < end < total]
        if not between:
            raise UserError(
                f"--data.split files takes two files with text in them at least, and {corpus} has "
                f"{sum(length > 0 for length in lengths)}: leave it out"
            )
        end, number = min(between, key=lambda place: abs(place[0] - self.fraction * total))
        return end, len(lengths) - number
