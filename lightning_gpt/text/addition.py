"""Makes the corpus `addition`: sums of two- and three-digit numbers as `12+345=753`, the answer's last digit first.

Digits are carried from the right to the left, so that is the order in which the answer can be written. No sum is there
twice, not even the other way round: none that is held out was ever trained on. The same bytes on every machine.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np

SHORT, MIXED, LONG = 4_095, 25_905, 70_000  # sums of two-digit numbers (all there are), of both kinds, of three-digit


def addition() -> Iterator[bytes]:
    """Yields SHORT + MIXED + LONG lines, in random order."""
    yield _lines()


@cache
def _lines() -> bytes:
    low, high = np.triu_indices(990)  # each pair of numbers once
    code = shuffled(np.arange(len(low), dtype=np.uint32))
    kind = (low + 10 >= 100).astype(int) + (high + 10 >= 100)  # how many of three digits
    order = np.argsort(code)
    chosen = np.concatenate([order[kind[order] == k][:n] for k, n in enumerate((SHORT, MIXED, LONG))])
    chosen = chosen[np.argsort(shuffled(code[chosen]))]
    swap = code[chosen] & 1 == 1
    a, b = np.where(swap, high[chosen], low[chosen]) + 10, np.where(swap, low[chosen], high[chosen]) + 10
    return "".join(f"{x}+{y}={str(x + y)[::-1]}\n" for x, y in zip(a.tolist(), b.tolist(), strict=True)).encode()


def shuffled(numbers: np.ndarray) -> np.ndarray:
    """Maps 32-bit numbers one-to-one to others without visible order: the finaliser of MurmurHash3, Appleby 2011."""
    x = numbers.astype(np.uint32) ^ np.uint32(0x9E3779B9)  # else 0 would stay 0
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    x = (x ^ x >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return x ^ x >> np.uint32(16)
