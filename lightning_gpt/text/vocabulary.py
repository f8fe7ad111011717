"""Characters to numbers and back. One character is one token; nothing is merged or normalised."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError


class Vocabulary:
    """The sorted distinct characters of a corpus; a character's number is its place among them.

    >>> vocabulary = Vocabulary("hello")
    >>> vocabulary.characters
    'ehlo'
    >>> vocabulary.decode(vocabulary.encode("hole"))
    'hole'
    """

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = "".join(sorted(set(characters)))
        self._codes = code_points(self.characters)  # sorted, so a number is found by bisection

    def __len__(self) -> int:
        return len(self.characters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def encode(self, text: str, unknown: str = "error") -> Tensor:
        """Text of N characters to ids (N,), int64.

        Args:
            text: any string.
            unknown: what to do with a character that the corpus does not hold: "error", "skip" (ids are then fewer
                than characters), or a character of the vocabulary to take its place.

        Raises:
            UserError: an unknown character, with its name, its position and the nearest remedy.
        """
        codes = code_points(text)
        ids = np.searchsorted(self._codes, codes).clip(max=len(self) - 1)
        known = self._codes[ids] == codes
        if not known.all():
            if unknown == "skip":
                ids = ids[known]
            elif len(unknown) == 1 and unknown in self.characters:
                ids[~known] = self.characters.index(unknown)
            elif unknown != "error":
                raise UserError(f"unknown={unknown!r} is neither 'error', 'skip' nor a character of the vocabulary")
            else:
                position = int(np.flatnonzero(~known)[0])
                raise UserError(self._complaint(text[position], position))
        return torch.from_numpy(ids.astype(np.int64))

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """Ids, any iterable of integers in [0, V), to text."""
        if isinstance(ids, Tensor):
            ids = ids.tolist()
        return "".join(self.characters[i] for i in ids)

    def _complaint(self, character: str, position: int) -> str:
        swapped = character.swapcase()
        if swapped != character and swapped in self.characters:
            remedy = f"did you mean {swapped!r}?"
        else:
            remedy = "leave it out, or pass unknown='skip' (--unknown skip)"
        return (
            f"character {character!r} (U+{ord(character):04X}) at position {position} "
            f"is not among the {len(self)} that this model knows; {remedy}"
        )


def code_points(text: str) -> np.ndarray:
    """Text of N characters to its Unicode code points (N,), uint32. Lone surrogates stay what they are."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
