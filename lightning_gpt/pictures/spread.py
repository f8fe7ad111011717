"""Places names beside lines, so that none is written over another."""

from collections.abc import Sequence

import numpy as np


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Moves ascending places to at least `gap` from each other, by as little as can be (in squares).

    With i gaps taken off the i-th this is isotonic regression: adjacent violators are pooled (Ayer et al., 1955).
    """
    pools: list[list[float]] = []
    for i, place in enumerate(places):
        pools.append([place - i * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    means = [float(np.mean(pool)) for pool in pools for _ in pool]
    return [mean + i * gap for i, mean in enumerate(means)]
