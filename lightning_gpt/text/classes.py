"""Classes of characters by Unicode category, for tables of losses."""

import unicodedata

import numpy as np

from lightning_gpt.tokens.characters import code_points

CLASSES = ("lower case", "upper case", "other letter", "digit", "space", "line break", "punctuation", "other")
BY_CATEGORY = {"Ll": 0, "Lu": 1, "Lt": 1, "L": 2, "M": 2, "N": 3, "Z": 4, "P": 6}


def character_class(character: str) -> str:
    """Finds the one of CLASSES that a character belongs to, by its Unicode category."""
    if character == "\n":
        return "line break"
    if character == "\t":
        return "space"
    category = unicodedata.category(character)
    return CLASSES[BY_CATEGORY.get(category, BY_CATEGORY.get(category[0], len(CLASSES) - 1))]


def classes_of(text: str) -> np.ndarray:
    """Classifies a text of M characters: the place of each one's class in CLASSES, (M,)."""
    codes, places = np.unique(code_points(text), return_inverse=True)
    return np.array([CLASSES.index(character_class(chr(code))) for code in codes], dtype=np.int64)[places]


def mean_by_class(values: np.ndarray, text: str) -> dict[str, tuple[int, float]]:
    """Averages values (M,) of a text's characters by class: for each that occurs, its count and its mean."""
    kinds = classes_of(text)
    counts = np.bincount(kinds, minlength=len(CLASSES))
    sums = np.bincount(kinds, weights=values, minlength=len(CLASSES))
    return {name: (int(n), float(s / n)) for name, n, s in zip(CLASSES, counts, sums, strict=True) if n}
