"""The benchmark's table: a row a quantity, medians and spreads, what is no figure, and its place in a document."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lightning_gpt.errors import UserError

SPREAD = 0.1  # of a median's rounds, above which it is no figure
BUSY = 0.1  # cores of others, above which nothing is
HEAD = "| what | unit | plain PyTorch | lightning-gpt | ratio |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Row:
    """A row of the table: a quantity measured on both sides, one number a round.

    Attributes:
        others: cores that other programs kept busy meanwhile; None where that can't be known.
    """

    what: str
    unit: str
    plain: Sequence[float]
    ours: Sequence[float]
    others: float | None = None

    @property
    def doubt(self) -> str | None:
        """Why this is no figure; None if it is one."""
        if self.others is not None and self.others > BUSY:
            return f"no figure: other programs kept {self.others:.2g} cores busy"
        spread = max((max(side) - min(side)) / statistics.median(side) for side in (self.plain, self.ours) if side)
        return f"no figure: a spread of {spread:.0%}" if spread > SPREAD else None

    def __str__(self) -> str:
        ratio = self.doubt or ""
        if not ratio and self.plain and self.ours:
            ratio = f"{statistics.median(self.ours) / statistics.median(self.plain):.3g}"
        return f"| {self.what} | {self.unit} | {shown(self.plain)} | {shown(self.ours)} | {ratio} |"


def shown(values: Sequence[float]) -> str:
    """Formats the median, and the range where there are several."""
    if not values:
        return ""
    median = f"{statistics.median(values):.4g}"
    return median if len(values) == 1 else f"{median} ({min(values):.4g} to {max(values):.4g})"


def with_block(document: Path, text: str) -> str:
    """Returns a document's text with its bench block replaced.

    Raises:
        UserError: it can't be read, or has no such block.
    """
    try:
        page = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"can't read {document}: {error}") from error
    before, begin, rest = page.partition("<!-- bench -->\n")
    _, end, after = rest.partition("<!-- /bench -->")
    if not end:
        raise UserError(f"{document} has no lines <!-- bench --> and <!-- /bench --> to write the table between")
    return f"{before}{begin}{text}{end}{after}"
