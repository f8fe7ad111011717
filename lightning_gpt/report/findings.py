"""What a report says of a trained network, as numbers and texts. Knows nothing of HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lightning_gpt.generation import TrainedGPT
from lightning_gpt.generation.trained import MOST_READ, Reading
from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.text.classes import mean_by_class
from lightning_gpt.text.overlap import LONG, MOST, Overlap, OverlapIndex, covered

TEMPERATURES = (0.5, 0.8, 1.1)
SAMPLE = 400  # characters
SHOWN = 2000  # held-out characters that are coloured
GUESSES = 5
LOOKED_AT = 28  # characters of the attention maps' line
LINES = 6  # most and least expected ones
SHORTEST = 20  # characters of a line worth showing

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Sample:
    """A text that the network wrote, and what of it stands in the training text (None: that was not looked up)."""

    temperature: float
    text: str
    overlap: Overlap | None
    copied: Sequence[bool]  # of each character


@dataclass(frozen=True)
class Line:
    """A held-out line and its mean surprisal, in nats per character."""

    text: str
    nats: float


@dataclass(frozen=True)
class Findings:
    """All of it; losses in nats per character."""

    card: Mapping[str, str]
    loss: float
    curves: Mapping[str, Curve]  # by split, over steps
    baselines: Mapping[str, float]
    samples: Sequence[Sample]
    text: str  # the coloured piece of held-out text
    reading: Reading  # of its characters but the first
    characters: str  # the vocabulary
    classes: Mapping[str, tuple[int, float]]  # how many, mean loss
    positions: Curve  # (characters that could be seen, mean loss)
    most_expected: Sequence[Line]
    least_expected: Sequence[Line]
    looked_at: str
    maps: np.ndarray  # (L, H, T, T)


def find_out(
    gpt: TrainedGPT,
    train_ids: np.ndarray,
    val_ids: np.ndarray,
    card: Mapping[str, str],
    curves: Mapping[str, Curve],
    baselines: Mapping[str, float],
    prompt: str = "\n",
    seed: int = 1337,
) -> Findings:
    """Reads the held-out text (of a longer one, two million characters), writes samples, looks at attention."""
    val_ids = val_ids[: MOST_READ + 1]
    prompt = "".join(c for c in prompt if c in gpt.vocabulary.characters) or gpt.vocabulary.characters[0]
    whole = gpt.read(val_ids)
    piece = val_ids[: SHOWN + 1]
    text = gpt.vocabulary.decode(piece.tolist())
    lines = expected_lines(gpt.vocabulary.decode(val_ids.tolist()), whole.nats)
    looked_at = next((line for line in text.split("\n") if len(line) >= LOOKED_AT), text)[
        : min(LOOKED_AT, gpt.network.block_size)
    ]
    maps = attention_maps(gpt.network, gpt.vocabulary.encode(looked_at).to(gpt.device))
    index = OverlapIndex(train_ids) if train_ids.nbytes <= MOST else None
    return Findings(
        card=card,
        loss=float(whole.nats.mean()),
        curves=curves,
        baselines=baselines,
        samples=[write(gpt, index, prompt, temperature, seed) for temperature in TEMPERATURES],
        text=text,
        reading=gpt.read(piece, GUESSES),
        characters=gpt.vocabulary.characters,
        classes=mean_by_class(whole.nats, val_ids[1:], gpt.vocabulary.characters),
        positions=by_position(whole.nats, gpt.network.block_size),
        most_expected=lines[:LINES],
        least_expected=lines[: -LINES - 1 : -1],
        looked_at=looked_at,
        maps=maps.cpu().numpy(),
    )


def write(gpt: TrainedGPT, index: OverlapIndex | None, prompt: str, temperature: float, seed: int) -> Sample:
    """A sample, looked up in the training text."""
    written = gpt.generate(prompt, SAMPLE, temperature, seed=seed)
    if index is None:
        return Sample(temperature, prompt + written, None, [False] * len(prompt + written))
    ids = gpt.vocabulary.encode(written).numpy()
    copied = [False] * len(prompt) + covered(index.lengths(ids), LONG).tolist()
    return Sample(temperature, prompt + written, index.of(ids), copied)


def by_position(nats: np.ndarray, block_size: int) -> list[tuple[float, float]]:
    """Mean loss by how many characters could be seen, 1 to block_size; neighbours together where there are many."""
    seen = np.arange(len(nats)) % block_size + 1
    edges = np.arange(1, block_size + 2)
    if block_size > 24:
        edges = np.unique(np.geomspace(1, block_size + 1, 25).round().astype(int))
    found = []
    for low, high in pairwise(edges.tolist()):
        inside = (seen >= low) & (seen < high)
        if inside.any():
            found.append((float((low + high - 1) / 2), float(nats[inside].mean())))
    return found


def expected_lines(text: str, nats: np.ndarray) -> list[Line]:
    """The text's whole lines of some length, the most expected first, each once."""
    found: dict[str, Line] = {}
    start = text.find("\n") + 1  # the first may be half a line
    while (end := text.find("\n", start)) != -1:
        line = text[start:end]
        if len(line) >= SHORTEST and line not in found:
            found[line] = Line(line, float(nats[start - 1 : end - 1].mean()))
        start = end + 1
    return sorted(found.values(), key=lambda line: line.nats)
