"""Lines as examples: a question up to a marker, and the answer after it, which alone is counted. One line, one row.

The lecture's exercise is a network that adds: each example begins a block, and a question has no targets, for it can't
be guessed (Karpathy 2023, the description's "mask out the loss at the input positions of a+b"). The interface is that
of `blocks`.

Legend: B rows of a batch, T block size, N tokens of a text, E examples in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.text.blocks import IGNORE, HeldOutBlocks, batch_seed
from lightning_gpt.text.mapped import pieces, release
from lightning_gpt.text.typed import escaped, unescaped
from lightning_gpt.tokens import Tokenizer


@dataclass(frozen=True, eq=False)
class Examples:
    """The places of a text's examples among its ids (N,).

    Attributes:
        starts: (E,), the first token of each.
        answers: (E,), the first token after its marker.
        ends: (E,), one past its last token, which is its line break where it has one.
        first: the number of its first line, counted from 0.
    """

    starts: np.ndarray
    answers: np.ndarray
    ends: np.ndarray
    first: int = 0

    @classmethod
    def of(cls, ids: np.ndarray, tokenizer: Tokenizer, answer_after: str, name: str = "the text") -> "Examples":
        """Finds the examples in ids (N,).

        Args:
            ids: of whole lines.
            tokenizer: whose tokens are characters or bytes.
            answer_after: the marker, as it is typed, see `typed`; in a line that has several, the first.
            name: of the text.

        Raises:
            UserError: a line without a marker, or no such tokenizer.
        """
        if not tokenizer.per_character and tokenizer.token_lengths[:, 1].max() > 1:
            raise UserError(
                f"data.answer_after needs tokens that are characters or bytes: one of {tokenizer.kind} may hold the "
                "end of a question and the beginning of its answer"
            )
        marker = unescaped(answer_after)
        said = f"data.answer_after {escaped(marker)!r}"
        if not marker or "\n" in marker or not tokenizer.spells(marker):
            raise UserError(f"{said} does not occur in a line of {name}: it is what stands before each answer, as '='")
        breaks = places(ids, tokenizer.encode("\n").numpy()) if tokenizer.spells("\n") else np.zeros(0, np.int64)
        ends = breaks + 1
        if not len(ends) or ends[-1] < len(ids):
            ends = np.append(ends, len(ids))  # the last line has no line break
        starts = np.concatenate([[0], ends[:-1]])
        found = tokenizer.encode(marker).numpy()
        after = np.append(places(ids, found), len(ids)) + len(found)
        answers = after[np.searchsorted(after, starts + len(found))]
        wrong = np.flatnonzero(answers >= ends)
        if len(wrong):
            raise UserError(
                f"line {wrong[0] + 1:,} of {name} has no {escaped(marker)!r} with an answer after it, and {said} makes "
                "each line an example: mend the line or leave it out"
            )
        return cls(starts, answers, ends)

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, start: int, end: int) -> "Examples":
        """Returns those from number `start` up to `end`."""
        return Examples(self.starts[start:end], self.answers[start:end], self.ends[start:end], self.first + start)

    def before(self, place: int) -> int:
        """Counts the examples that begin before a place among the ids."""
        return int(np.searchsorted(self.starts, place))

    def must_fit(self, block_size: int, name: str = "the text") -> None:
        """Checks that each example fits into a block.

        Raises:
            UserError: one does not.
        """
        needed = self.ends - self.starts - 1  # the last token is only a target
        if needed.max(initial=0) > block_size:
            line = self.first + int(np.argmax(needed > block_size)) + 1
            raise UserError(
                f"line {line:,} of {name} is longer than a block of {block_size} tokens, and must fit into one: "
                f"--data.block_size {needed.max()} takes the longest line"
            )

    def counted(self, n: int) -> np.ndarray:
        """Marks the counted targets, those of the answers, among n ids: (n,) bool."""
        change = np.zeros(n + 1, dtype=np.int8)
        change[self.answers] += 1
        change[self.ends] -= 1
        return change[:-1].cumsum(dtype=np.int8).astype(bool)

    def exact(self, counted: np.ndarray, right: np.ndarray) -> float:
        """Computes the share of examples whose counted targets are all right; both (N - 1,), for all but the first."""
        return float(np.logical_and.reduceat(np.append(True, right | ~counted), self.starts).mean())

    def rows(self, ids: np.ndarray, chosen: np.ndarray, block_size: int) -> tuple[Tensor, Tensor]:
        """Lays out the examples `chosen` (B,) as x (B, T) and y (B, T), int64; y is IGNORE where nothing is counted."""
        places = self.starts[chosen, None] + np.arange(block_size + 1)  # (B, T + 1)
        # past the line's end, whatever is there is read in vain
        tokens = torch.from_numpy(ids[places.clip(max=len(ids) - 1)].astype(np.int64))
        targets = places[:, 1:]
        counts = (targets >= self.answers[chosen, None]) & (targets < self.ends[chosen, None])
        return tokens[:, :-1], tokens[:, 1:].masked_fill(torch.from_numpy(~counts), IGNORE)


def places(ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Finds where the tokens `wanted` (K,) stand one after another in ids (N,)."""
    found, start, overlap = [np.zeros(0, np.int64)], 0, len(wanted) - 1
    for piece in pieces(ids, overlap):
        size = len(piece) - overlap
        found.append(start + np.flatnonzero(np.all([piece[i : i + size] == x for i, x in enumerate(wanted)], axis=0)))
        start += size
    return np.concatenate(found)


class TrainingExamples:
    """Endless batches of uniformly drawn examples, one a row. Batch k of a rank is a pure function of (seed, k, rank).

    See `TrainingBlocks`, of which all that is said of ranks and resuming holds here.

    Args:
        ids: (N,), any unsigned integer type, a memory map will do.
        examples: those to train on; each fits into a block.
        block_size: T.
        batch_size: B, rows for each rank.
        seed: of the whole run.
        rank: which part of each global batch is drawn.
        first: number of the batch that iteration begins with.
    """

    def __init__(
        self,
        ids: np.ndarray,
        examples: Examples,
        block_size: int,
        batch_size: int,
        seed: int = 1337,
        rank: int = 0,
        first: int = 0,
    ) -> None:
        self.ids = ids
        self.examples = examples
        self.block_size = block_size
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.first = first

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        """Draws batch number k: x (B, T) and y (B, T), int64; y is IGNORE up to the answer and after it."""
        generator = torch.Generator().manual_seed(batch_seed(self.seed, k))
        # drawn one after another, so the ranks before this one change nothing but where its own begin
        drawn = torch.randint(len(self.examples), ((self.rank + 1) * self.batch_size,), generator=generator)
        return self.examples.rows(self.ids, drawn[-self.batch_size :].numpy(), self.block_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for k in count(self.first):
            yield self[k]
            release(self.ids)


class HeldOutExamples:
    """All examples in order, one a row: every target of their answers exactly once, the same each time.

    All batches have one shape; a row without an example has IGNORE targets only. Ranks take the batches in turn.

    Args:
        ids: (N,).
        examples: those held out; each fits into a block.
        block_size: T.
        rank: of this process.
        ranks: how many processes share them.
    """

    def __init__(self, ids: np.ndarray, examples: Examples, block_size: int, rank: int = 0, ranks: int = 1) -> None:
        assert len(examples)
        self.ids = ids
        self.examples = examples
        self.block_size = block_size
        self.rank = rank
        self.ranks = ranks
        self.batch_size = min(len(examples), max(1, HeldOutBlocks.TOKENS // block_size))
        self._batches = -(-len(examples) // self.batch_size)

    def __len__(self) -> int:
        """Counts the batches of each rank."""
        return -(-self._batches // self.ranks)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields x (B, T) and y (B, T), int64."""
        for i in range(self.rank, len(self) * self.ranks, self.ranks):
            chosen = np.arange(i * self.batch_size, (i + 1) * self.batch_size)
            there = chosen < len(self.examples)
            x, y = self.examples.rows(self.ids, chosen.clip(max=len(self.examples) - 1), self.block_size)
            yield x, y.masked_fill(torch.from_numpy(~there)[:, None], IGNORE)
            release(self.ids)
