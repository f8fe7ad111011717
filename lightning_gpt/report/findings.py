"""Measures all that a report shows of a trained network, as numbers and texts. Knows nothing of HTML.

Legend: N tokens of a text, M characters of it, T block size, L layers, H heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model.trained import MOST_READ, Predictions
from lightning_gpt.text import Tokens
from lightning_gpt.text.classes import mean_by_class
from lightning_gpt.text.examples import Examples
from lightning_gpt.text.lines import held_out_line
from lightning_gpt.text.overlap import LONG, Overlap, OverlapIndex, covered, training_index
from lightning_gpt.text.units import Length, by_character
from lightning_gpt.tokens import Tokenizer

TEMPERATURES = (0.5, 0.8, 1.1)
SAMPLE = 400  # tokens
SHOWN = 2000  # held-out tokens that are coloured
GUESSES = 5
LOOKED_AT = 28  # tokens of the attention maps' line
LINES = 6  # most and least expected ones
SHORTEST = 20  # characters of a line worth showing

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Sample:
    """A text that the network wrote, and its overlap with the training text (None: too long to be indexed)."""

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
class Piece:
    """One token of a text, or as many as it takes to have whole characters.

    Attributes:
        text: what it says.
        nats: its surprisal; None: it is the first, which was only read.
        guesses: the tokens that were likeliest in its place, with their probabilities.
    """

    text: str
    nats: float | None
    guesses: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Findings:
    """All that a report shows; losses in nats per token where nothing else is said."""

    card: Mapping[str, str]
    loss: float
    exact: float | None  # the share of examples that are answered exactly; None where lines are no examples
    unit: str  # what a token is called
    length: Length  # of the text that the loss is over
    curves: Mapping[str, Curve]  # by split, over steps
    baselines: Mapping[str, float]
    samples: Sequence[Sample]
    pieces: Sequence[Piece]  # the coloured beginning of the held-out text
    classes: Mapping[str, tuple[int, float]]  # how many characters, nats per character
    shared: bool  # whether some tokens are of several characters, which share their nats evenly
    positions: Curve  # (tokens that could be seen, mean loss)
    most_expected: Sequence[Line]
    least_expected: Sequence[Line]
    looked_at: Sequence[str]  # the tokens of a line, T at most
    maps: np.ndarray  # (L, H, T, T)


def find_out(
    gpt: TrainedGPT,
    tokens: Tokens,
    card: Mapping[str, str],
    curves: Mapping[str, Curve],
    baselines: Mapping[str, float],
    prompt: str = "",
    seed: int = 1337,
) -> Findings:
    """Reads the held-out text (of a longer one, two million tokens), writes samples, looks at attention."""
    tokenizer, val_ids = gpt.tokenizer, tokens.held_out_ids(MOST_READ + 1)
    examples = None if gpt.answer_after is None else Examples.of(val_ids, tokenizer, gpt.answer_after)
    whole = gpt.read(val_ids, guesses=0 if examples is None else 1)
    spread = by_character(whole.nats, val_ids, tokenizer, tokens.is_text)
    known = np.flatnonzero(np.isfinite(spread.nats))  # all but the first token's
    lines = expected_lines(spread.text, spread.nats)
    beginning = tokens.held_out_ids(SHOWN + 1)
    cut = examples is None and not tokenizer.token_bytes(int(tokens.train_ids[-1])).endswith(b"\n")
    looked_at = held_out_line(tokens, min(LOOKED_AT, gpt.network.block_size))
    maps = attention_maps(gpt.network, looked_at.to(gpt.device))
    index = training_index(tokens)
    readable = gpt.readable(prompt or None, "skip")
    return Findings(
        card=card,
        loss=whole.loss,
        exact=None if examples is None else examples.exact(whole.counted, whole.guesses[:, 0] == val_ids[1:]),
        unit=tokenizer.unit,
        length=Length.of(val_ids[1:][whole.counted], tokens.token_lengths),
        curves=curves,
        baselines=baselines,
        samples=[write(gpt, index, readable, temperature, seed) for temperature in TEMPERATURES],
        pieces=whole_lines(pieces(beginning, gpt.read(beginning, GUESSES), tokenizer), cut),
        shared=bool(tokens.token_lengths[:, 0].max() > 1),
        classes=mean_by_class(spread.nats[known], "".join(spread.text[i] for i in known)),
        positions=by_position(whole.nats, seen(len(val_ids), gpt.network.block_size, examples)),
        most_expected=lines[:LINES],
        least_expected=lines[: -LINES - 1 : -1],
        looked_at=[tokenizer.token_text(token) for token in looked_at.tolist()],
        maps=maps.cpu().numpy(),
    )


def write(gpt: TrainedGPT, index: OverlapIndex | None, prompt: str, temperature: float, seed: int) -> Sample:
    """Writes a sample and looks it up in the training text."""
    written = gpt.generate(prompt, SAMPLE, temperature, seed=seed)
    if index is None:
        return Sample(temperature, prompt + written, None, [False] * len(prompt + written))
    copied = [False] * len(prompt) + covered(index.lengths(written), LONG).tolist()
    return Sample(temperature, prompt + written, index.of(written), copied)


def pieces(ids: np.ndarray, predicted: Predictions, tokenizer: Tokenizer) -> list[Piece]:
    """Splits the text of ids (N,) into tokens of whole characters, with their surprisal and guesses."""
    found: list[Piece] = []
    decoder = tokenizer.decoder()
    nats: float | None = None
    first = True  # of the tokens of a piece
    for i, token in enumerate(ids.tolist()):
        if first:
            places = zip(predicted.guesses[i - 1].tolist(), predicted.shares[i - 1].tolist(), strict=True) if i else ()
            guesses = [(tokenizer.token_text(guess), share) for guess, share in places]
        if i:
            nats = (nats or 0.0) + float(predicted.nats[i - 1]) if predicted.counted[i - 1] else None
        text = decoder.feed(token)
        first = bool(text)
        if text:
            found.append(Piece(text, nats, guesses))
            nats = None
    return found


def whole_lines(read: Sequence[Piece], cut: bool) -> Sequence[Piece]:
    """Leaves out a first line that was `cut` where the text was split, and what is empty after it, if more follows."""
    if not cut:
        return read
    end = next((i for i, piece in enumerate(read) if "\n" in piece.text), len(read))
    return read[next((i for i in range(end, len(read)) if read[i].text.strip("\n")), 0) :]


def seen(n: int, block_size: int, examples: Examples | None) -> np.ndarray:
    """Counts the tokens that could be seen before each of n but the first, (n - 1,): of a block, or of its line."""
    if examples is None:
        return np.arange(n - 1) % block_size + 1
    return np.arange(1, n) - np.repeat(examples.starts, examples.ends - examples.starts)[1:]


def by_position(nats: np.ndarray, seen: np.ndarray) -> list[tuple[float, float]]:
    """Averages the loss by how many tokens could be seen; neighbours together where there are many. NaN is left out."""
    most = int(seen.max())
    edges = np.arange(1, most + 2)
    if most > 24:
        edges = np.unique(np.geomspace(1, most + 1, 25).round().astype(int))
    found = []
    for low, high in pairwise(edges.tolist()):
        inside = (seen >= low) & (seen < high) & np.isfinite(nats)
        if inside.any():
            found.append((float((low + high - 1) / 2), float(nats[inside].mean())))
    return found


def expected_lines(text: str, nats: np.ndarray) -> list[Line]:
    """Sorts the whole lines of some length in a text, nats (M,) a character, by mean loss, each once."""
    found: dict[str, Line] = {}
    start = text.find("\n") + 1  # the first may be half a line
    while (end := text.find("\n", start)) != -1:
        line = text[start:end]
        if len(line) >= SHORTEST and line not in found:
            found[line] = Line(line, float(np.nanmean(nats[start:end])))
        start = end + 1
    return sorted(found.values(), key=lambda line: line.nats)
