"""Finds what a text has copied from another, character by character. Exact: a suffix array, nothing is sampled."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from lightning_gpt.text.prepared import Tokens
from lightning_gpt.tokens.characters import code_points

LONG = 20  # characters of an overlap that is no accident: a line of a play has about 40
MOST = 20_000_000  # bytes of the longest text that is indexed: seconds, and five times as much memory


@dataclass(frozen=True)
class Overlap:
    """The overlap of a text with the indexed one.

    Attributes:
        longest: characters of its longest copied stretch.
        at: where in the text that stretch begins.
        share: of its characters, those inside copied stretches of LONG or more.
    """

    longest: int
    at: int
    share: float


class OverlapIndex:
    """Finds the stretches of any text that occur in one given text.

    A suffix array (Manber, Myers 1990, built by libdivsufsort): about 0.1 s and 5 MB for a million characters. A text
    of N characters is then looked up in N binary searches.

    Args:
        text: to look in, of M characters, whatever its tokens are.

    Raises:
        ValueError: more than MOST bytes, as small as its characters can be numbered.
    """

    def __init__(self, text: str) -> None:
        from pydivsufsort import divsufsort

        self._codes = code_points("".join(sorted(set(text))))
        dtype = np.min_scalar_type(len(self._codes))
        if len(text) * dtype.itemsize > MOST:
            raise ValueError(f"a text of {len(text):,} characters is too long to be indexed")
        numbers = self._numbered(text).astype(dtype)
        self._width = dtype.itemsize
        self._dtype = dtype.newbyteorder(">")  # bytes then compare as the numbers do
        self._text = numbers.astype(self._dtype).tobytes()
        self._suffixes = divsufsort(numbers)

    def _numbered(self, text: str) -> np.ndarray:
        """Numbers N characters (N,) by their places among the indexed text's; any other gets a number not in it."""
        codes = code_points(text)
        places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return np.where(self._codes[places] == codes, places, len(self._codes))

    def lengths(self, written: str) -> np.ndarray:
        """Measures, for each of N characters, the longest stretch from there on that the indexed text has, (N,)."""
        width, text = self._width, self._text
        query = self._numbered(written).astype(self._dtype).tobytes()
        found = np.zeros(len(written), dtype=np.int64)
        for i in range(len(written)):
            # a stretch less its first character occurs there as well; only what goes beyond needs a search
            least = max(1, found[i - 1] - 1) if i else 1
            if i and i - 1 + found[i - 1] == len(written):  # to the end, and so from here
                found[i] = found[i - 1] - 1
                continue
            found[i] = self._longest(query[i * width :], int(least), text, width)
        return found

    def _longest(self, query: bytes, least: int, text: bytes, width: int) -> int:
        size = 2 * least + LONG  # most stretches are short, so long slices would be compared for nothing
        while True:
            wanted = query[: size * width]
            place = bisect_left(
                self._suffixes, wanted, key=lambda start: text[start * width : start * width + len(wanted)]
            )
            near = self._suffixes[max(0, place - 1) : place + 1]
            longest = max(common(wanted, text[s * width : s * width + len(wanted)]) // width for s in near.tolist())
            if longest < size or len(wanted) == len(query):
                return longest
            size *= 4

    def of(self, written: str) -> Overlap:
        """Measures the overlap of a text with the indexed one."""
        lengths = self.lengths(written)
        if not len(lengths):
            return Overlap(0, 0, 0.0)
        return Overlap(int(lengths.max()), int(lengths.argmax()), float(covered(lengths, LONG).mean()))


def training_index(tokens: Tokens) -> OverlapIndex | None:
    """Indexes the training text; None if it is too long for that, or of lines that are examples: no line is copied."""
    if tokens.examples is not None or tokens.train_ids.nbytes > MOST:
        return None
    try:
        return OverlapIndex(tokens.tokenizer.decode(tokens.train_ids))
    except ValueError:  # few tokens of many characters
        return None


def covered(lengths: np.ndarray, least: int) -> np.ndarray:
    """Marks the characters inside a stretch of `least` or more: lengths (N,) of `lengths` to (N,) bool."""
    change = np.zeros(len(lengths) + 1, dtype=np.int64)
    long = lengths >= least
    change[:-1] += long
    np.subtract.at(change, np.flatnonzero(long) + lengths[long], 1)
    return change.cumsum()[:-1] > 0


def common(a: bytes, b: bytes) -> int:
    """Counts the bytes of the common prefix."""
    size = min(len(a), len(b))
    if a[:size] == b[:size]:
        return size
    differs = np.frombuffer(a, np.uint8, size) != np.frombuffer(b, np.uint8, size)
    return int(differs.argmax())
