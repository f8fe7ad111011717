"""Kinds of characters, for tables and colours: what a network finds easy is not the same for all of them."""

import unicodedata
from collections.abc import Iterable

import numpy as np

CLASSES = ("lower case", "upper case", "other letter", "digit", "space", "line break", "punctuation", "other")
BY_CATEGORY = {"Ll": 0, "Lu": 1, "Lt": 1, "L": 2, "M": 2, "N": 3, "Z": 4, "P": 6}


def character_class(character: str) -> str:
    """The one of CLASSES that a character belongs to, by its Unicode category."""
    if character == "\n":
        return "line break"
    if character == "\t":
        return "space"
    category = unicodedata.category(character)
    return CLASSES[BY_CATEGORY.get(category, BY_CATEGORY.get(category[0], len(CLASSES) - 1))]


def classes_of(ids: np.ndarray, characters: Iterable[str]) -> np.ndarray:
    """ids (N,) of these characters to the place of each one's class in CLASSES, (N,)."""
    return np.array([CLASSES.index(character_class(c)) for c in characters])[ids]


def mean_by_class(values: np.ndarray, ids: np.ndarray, characters: Iterable[str]) -> dict[str, tuple[int, float]]:
    """For each class that occurs among ids (N,): how often it does, and the mean of its values (N,)."""
    kinds = classes_of(ids, characters)
    counts = np.bincount(kinds, minlength=len(CLASSES))
    sums = np.bincount(kinds, weights=values, minlength=len(CLASSES))
    return {name: (int(n), float(s / n)) for name, n, s in zip(CLASSES, counts, sums, strict=True) if n}
