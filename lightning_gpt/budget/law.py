"""The loss that a network can be expected to reach: a law fitted to measured runs.

L = E + A / N^a + B / D^b for a network of N parameters that reads D characters, all of them new: "Training
Compute-Optimal Large Language Models", Hoffmann et al. 2022. Of a text of U characters that is read again and again,
each pass is worth less than the one before: D is then U (1 + R (1 - exp(-(D/U - 1) / R))), "Scaling Data-Constrained
Language Models", Muennighoff et al. 2023. K networks whose probabilities are averaged are better by G (1 - 1/K):
"Pre-training under infinite compute", Kim et al. 2025.

The law alone is too coarse to choose between two networks of neighbouring sizes. So a network that was measured is
expected to be as far from it as its own runs were, the nearest of them most of all.

The runs are in measured.csv, and `python -m lightning_gpt.benchmark.law` repeats them.
"""

import csv
import functools
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_gpt.budget.plans import Plan

MEASURED = Path(__file__).with_name("measured.csv")
# that are tried for a and b; below them nothing would be irreducible, and a small network could learn a long text
EXPONENTS = np.arange(0.25, 0.81, 0.05)
REPEATS = (1.0, 2.0, 3.0, 5.0, 8.0, 15.0)  # and for R


Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """A run that was measured: all that is needed to repeat it, and its loss.

    Attributes:
        unique: characters of the training text, the last ones before the held-out part of Tiny Shakespeare.
        n_layer: blocks of each network; n_head, n_embd, n_member, block_size, batch_size, dropout as in `Plan`.
        weight_decay: of Muon.
        steps: of the optimizer.
        loss: exact val/loss, the best of five along the run, in nats per character.
    """

    unique: int
    n_layer: int
    n_head: int
    n_embd: int
    n_member: int
    block_size: int
    batch_size: int
    dropout: float
    weight_decay: float
    steps: int
    loss: float

    @property
    def plan(self) -> Plan:
        """Its network and batches."""
        return Plan(self.n_layer, self.n_head, self.n_embd, self.block_size, self.batch_size, self.n_member)

    @property
    def sizes(self) -> tuple[float, float, float, float]:
        """What the law knows of it: parameters and characters read, of each network; unique characters; networks."""
        read = self.steps * self.block_size * self.batch_size
        return self.plan.parameters, read, self.unique, self.n_member


@dataclass(frozen=True)
class Law:
    """The law's constants, and how far from it the runs are that it was fitted to.

    Attributes:
        exponents: a, b.
        repeats: R.
        constants: E, A, B, G.
        sizes: of the runs, (n, 4).
        distances: of their losses from the law, (n,), in nats per character.
    """

    exponents: tuple[float, float]
    repeats: float
    constants: Numbers
    sizes: Numbers
    distances: Numbers

    @property
    def spread(self) -> float:
        """Root mean square distance, in nats per character."""
        return float(np.sqrt(np.mean(self.distances**2)))

    def __str__(self) -> str:
        """Writes the law with its constants."""
        (a, b), (E, A, B, G) = self.exponents, self.constants
        return (
            f"L = {E:.3f} + {A:.3f} / N^{a:.2f} + {B:.3f} / D^{b:.2f} - {G:.3f} (1 - 1/K), R = {self.repeats:g}; "
            f"{self.spread:.3f} nats from it, as root mean square"
        )

    def __call__(self, parameters: float, read: float, unique: float, members: int = 1) -> float:
        """Returns the loss to be expected, in nats per character.

        Args:
            parameters: of one network's blocks.
            read: characters that each network reads.
            unique: characters of the training text.
            members: networks whose probabilities are averaged.
        """
        sizes = np.array([parameters, read, unique, members], float)
        expected = terms(sizes[None], *self.exponents, self.repeats)[0] @ self.constants
        own = self.sizes[:, 0] == sizes[0]  # runs of the same network
        apart = np.log2(self.sizes[own] / sizes)  # in doublings of what was read, of the text, of the networks
        nearness = 1 / (0.1 + (apart**2).sum(axis=1))
        return float(expected + (nearness @ self.distances[own] / nearness.sum() if own.any() else 0.0))


def terms(sizes: Numbers, a: float, b: float, repeats: float) -> Numbers:
    """Returns what E, A, B and G are multiplied by, (n, 4), for the `Measured.sizes` (n, 4) of n runs."""
    parameters, read, unique, members = sizes.T
    again = np.maximum(read / unique - 1, 0)
    worth = np.minimum(read, unique) + unique * repeats * (1 - np.exp(-again / repeats))
    return np.stack([np.ones_like(read), parameters**-a, worth**-b, 1 / members - 1], axis=1)


def fit(runs: list[Measured]) -> Law:
    """Fits the law to runs by least squares; its exponents are the best of a grid, its constants not below 0."""
    sizes = np.array([run.sizes for run in runs], float)
    losses = np.array([run.loss for run in runs])
    found: list[Law] = []
    for a, b, repeats in itertools.product(EXPONENTS, EXPONENTS, REPEATS):
        rows = terms(sizes, a, b, repeats)
        scale = np.abs(rows).max(axis=0).clip(min=1e-12)
        constants = np.linalg.lstsq(rows / scale, losses, rcond=None)[0] / scale
        if (constants >= 0).all():
            found.append(Law((float(a), float(b)), repeats, constants, sizes, losses - rows @ constants))
    return min(found, key=lambda law: law.spread)


def read_measured(path: Path = MEASURED) -> list[Measured]:
    """Reads runs from a CSV file."""
    numbers = {"dropout", "weight_decay", "loss"}
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Measured(**{name: float(x) if name in numbers else int(x) for name, x in row.items()})  # type: ignore[arg-type]
        for row in rows
    ]


@functools.cache
def law() -> Law:
    """Returns the law of the runs that were measured; fitted in a tenth of a second, once a process."""
    return fit(read_measured())
