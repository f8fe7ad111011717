"""Characters as tokens, one each: nothing is merged or normalised."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.tokens.tokenizer import Pieces, Tokenizer, as_list, listed

CODE_POINTS = 0x110000  # of Unicode


class Characters(Tokenizer):
    """The sorted distinct characters of a text; a character's id is its place among them.

    A character that the text only has in its other Unicode form (é as one code point, or as e and an accent) is read in
    that form.

    >>> tokenizer = Characters("hello")
    >>> tokenizer.characters
    'ehlo'
    >>> tokenizer.decode(tokenizer.encode("hole"))
    'hole'
    """

    kind = "characters"
    unit = "character"
    per_character = True

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = "".join(sorted(set(characters)))
        self._codes = code_points(self.characters)  # sorted, so an id is found by bisection

    @classmethod
    def learn(cls, text: Pieces, vocab_size: int | None) -> "Characters":
        """Reads the text once; see `Tokenizer.learn`."""
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for piece in text():
            seen[code_points(piece)] = True
        return cls(map(chr, np.flatnonzero(seen)))

    def covering(self, text: Pieces, add: bool) -> "Characters":
        """Counts the characters that are not among these; see `Tokenizer.covering`."""
        new: Counter[str] = Counter()
        for piece in text():
            codes, counts = np.unique(code_points(piece), return_counts=True)
            unknown = ~np.isin(codes, self._codes)
            new.update(dict(zip(map(chr, codes[unknown]), counts[unknown].tolist(), strict=True)))
        if new and not add:
            raise UserError(
                f"the text has {len(new):,} characters that are not among the {len(self):,} of the checkpoint, "
                f"{listed(new)}: leave them out of it, or fine-tune with --init_from and --data.new_characters add"
            )
        return Characters({*self.characters, *new}) if new else self

    def as_plain(self) -> dict[str, Any]:
        """Describes the tokenizer by its characters, in the order of their ids."""
        return {"kind": self.kind, "characters": self.characters}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Characters":
        """See `Tokenizer.of_plain`."""
        characters = plain.get("characters")
        if not isinstance(characters, str) or not characters:
            raise ValueError("its characters are no text")
        tokenizer = cls(characters)
        if tokenizer.characters != characters:
            raise ValueError("its characters are not in order")
        characters.encode()  # half a surrogate pair is no character: a UnicodeEncodeError is a ValueError
        return tokenizer

    def __len__(self) -> int:
        return len(self.characters)

    def token_bytes(self, token: int) -> bytes:
        """Returns the character's UTF-8."""
        return self.characters[token].encode("utf-8", "surrogatepass")

    def encode(self, text: str, unknown: str = "error") -> Tensor:
        """Encodes a text of M characters as ids (M,), int64; see `Tokenizer.encode`."""
        ids, known = self._places(text)
        if not known.all():
            spelled = self._respelled(text)
            ids, known = self._places(spelled)
        if not known.all():
            if unknown == "skip":
                ids = ids[known]
            elif len(unknown) == 1 and unknown in self.characters:
                ids[~known] = self.characters.index(unknown)
            elif unknown != "error":
                raise UserError(f"unknown={unknown!r} is neither 'error', 'skip' nor a character of the vocabulary")
            else:
                character = spelled[int(np.flatnonzero(~known)[0])]
                raise UserError(self._complaint(character, text.index(character)))
        return torch.from_numpy(ids.astype(np.int64))

    def _places(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Finds ids (M,) of a text's characters, and which of them are known (M,)."""
        codes = code_points(text)
        ids = np.searchsorted(self._codes, codes).clip(max=len(self) - 1)
        return ids, self._codes[ids] == codes

    def _respelled(self, text: str) -> str:
        """Replaces each character with unknown parts by its other Unicode form, where all parts of that are known."""
        known = set(self.characters)
        wholes: list[str] = []  # a letter with its accents, or the parts of a Korean syllable
        for c in text:
            if wholes and (unicodedata.combining(c) or "\u1160" <= c <= "\u11ff"):
                wholes[-1] += c
            else:
                wholes.append(c)

        def spelled(whole: str) -> str:
            forms = (whole, *(unicodedata.normalize(form, whole) for form in ("NFC", "NFD")))
            return next((form for form in forms if known.issuperset(form)), whole)

        return "".join(map(spelled, wholes))

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """Encodes by a table of all of Unicode, which is faster than bisection for a long text.

        Raises:
            UserError: an unknown character.
        """
        ids = np.full(CODE_POINTS, len(self), dtype=np.min_scalar_type(len(self)))  # V: unknown
        ids[self._codes] = np.arange(len(self), dtype=ids.dtype)
        for piece in pieces:
            found = ids[code_points(piece)]
            if found.max(initial=0) == len(self):
                self.encode(piece)  # which complains
            yield found

    def decode(self, ids: Iterable[int] | Tensor | np.ndarray) -> str:
        """Decodes ids (N,) to a text of N characters."""
        codes = self._codes[np.asarray(as_list(ids) if not isinstance(ids, np.ndarray) else ids, dtype=np.int64)]
        return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

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
    """Converts a text of M characters to its Unicode code points (M,), uint32, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
