"""Blocks of T tokens and their targets: random ones to train on, all of them in order to validate on.

Legend: B rows of a batch, T block size, N tokens of the text.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.text.mapped import release

NOISE = 0x5BD1E995  # keeps the seeds of the noise apart from those of the offsets,
MIXTURE = 0x2545F491  # and those of the rows that are another text's
IGNORE = -100  # the target where there is no token; PyTorch's own default for cross entropy


class TrainingBlocks:
    """Endless batches of blocks at uniformly random offsets. Batch k of a rank is a pure function of (seed, k, rank).

    So there is no state to save and nothing to fast-forward: a resumed run asks for batch k and has it. All ranks
    read one stream of offsets, B each, rank after rank: W ranks with B rows draw what one rank with W * B rows draws,
    and never the same offset from the stream twice.

    Args:
        ids: (N,), the training text; any unsigned integer type, a memory map will do.
        block_size: T, less than N.
        batch_size: B, rows for each rank.
        seed: of the whole run.
        rank: which part of each global batch is drawn.
        first: number of the batch that iteration begins with.
        noise: share of x that is replaced by tokens drawn from anywhere in the text; y stays as it is. A regularizer
            against memorising: "Data Noising as Smoothing in Neural Network Language Models", Xie et al. 2017.
        expected: (N, V), a teacher's probabilities of the token after each of ids; None: there are none.
    """

    def __init__(
        self,
        ids: np.ndarray,
        block_size: int,
        batch_size: int,
        seed: int = 1337,
        rank: int = 0,
        first: int = 0,
        noise: float = 0.0,
        expected: np.ndarray | None = None,
    ) -> None:
        assert len(ids) > block_size, (len(ids), block_size)
        self.ids = ids
        self.block_size = block_size
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.first = first
        self.noise = noise
        self.expected = expected
        self._window = np.arange(block_size + 1)

    def __getitem__(self, k: int) -> tuple[Tensor, ...]:
        """Draws batch number k: x (B, T) and y (B, T), y[b, t] the token after x[b, t]; int64. And `expected` of y."""
        generator = torch.Generator().manual_seed(batch_seed(self.seed, k))
        # drawn one after another, so the ranks before this one change nothing but where its own begin
        offsets = torch.randint(
            len(self.ids) - self.block_size, ((self.rank + 1) * self.batch_size,), generator=generator
        )[-self.batch_size :]
        places = offsets.numpy()[:, None] + self._window
        blocks = torch.from_numpy(self.ids[places].astype(np.int64))  # (B, T + 1)
        x, y = blocks[:, :-1], blocks[:, 1:]
        x = self._noised(x, k) if self.noise else x
        return (x, y) if self.expected is None else (x, y, torch.from_numpy(self.expected[places[:, :-1]]))

    def _noised(self, x: Tensor, k: int) -> Tensor:
        # another stream than the offsets'; torch looks at 32 bits of a seed
        generator = torch.Generator().manual_seed(batch_seed(self.seed ^ NOISE, k))
        # as the offsets are: the ranks before this one change nothing but where its own draws begin
        shape = ((self.rank + 1) * self.batch_size, self.block_size, 2)
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64)[-self.batch_size :]
        replaced = drawn[..., 0] < self.noise
        places = (drawn[..., 1][replaced] * len(self.ids)).long()
        noised = x.clone()
        noised[replaced] = torch.from_numpy(self.ids[places.numpy()].astype(np.int64))
        return noised

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for k in count(self.first):
            yield self[k]
            release(self.ids)


class MixedBlocks:
    """Batches of two texts: each row is drawn from the second one with a given probability, and else from the first.

    Batch k is a pure function of the seed, k and rank, as those that it is mixed of are.

    Args:
        first: blocks of the one text.
        second: of the other, of the same sizes, seed and rank.
        share: of rows that are the second's.
    """

    def __init__(self, first: TrainingBlocks, second: TrainingBlocks, share: float) -> None:
        self.first = first
        self.second = second
        self.share = share

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        """Draws batch number k: x (B, T) and y (B, T), int64."""
        (x, y), (others_x, others_y) = self.first[k], self.second[k]
        generator = torch.Generator().manual_seed(batch_seed(self.first.seed ^ MIXTURE, k))
        rows = (self.first.rank + 1) * self.first.batch_size  # as the offsets are drawn
        mixed = torch.rand(rows, 1, generator=generator, dtype=torch.float64)[-self.first.batch_size :] < self.share
        return torch.where(mixed, others_x, x), torch.where(mixed, others_y, y)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for k in count(self.first.first):
            yield self[k]
            release(self.first.ids)
            release(self.second.ids)


def batch_seed(seed: int, k: int) -> int:
    """Computes the 32-bit seed of batch k: `seed` for the first batch, different for every k < 2^32.

    The finaliser of MurmurHash3 (Appleby 2011) is one-to-one on 32 bits and keeps 0; without it, batch 1 of one run
    would be batch 0 of the run with the next seed.
    """
    k &= 0xFFFFFFFF
    k = (k ^ k >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    k = (k ^ k >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (seed ^ k ^ k >> 16) & 0xFFFFFFFF


class HeldOutBlocks:
    """Non-overlapping blocks in order, the last one shorter: every target of the text exactly once, the same each time.

    All batches have one shape, so that a compiled network is compiled once and ranks take equally many steps:
    where there is no token, the target is IGNORE. Ranks take the batches in turn.

    Args:
        ids: (N,), the held-out text, N - 1 targets.
        block_size: T.
        rank: of this process.
        ranks: how many processes share the text.
    """

    TOKENS = 8_192  # of a batch: as fast as more, in less memory; no choice of the user changes the loss

    def __init__(self, ids: np.ndarray, block_size: int, rank: int = 0, ranks: int = 1) -> None:
        assert len(ids) > 1, len(ids)
        self.ids = ids
        self.block_size = block_size
        self.rank = rank
        self.ranks = ranks
        blocks = -(-(len(ids) - 1) // block_size)
        self.batch_size = min(blocks, max(1, self.TOKENS // block_size))
        self._batches = -(-blocks // self.batch_size)

    def __len__(self) -> int:
        """Counts the batches of each rank."""
        return -(-self._batches // self.ranks)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields x (B, T) and y (B, T), int64; y is IGNORE where the text has ended."""
        size = self.batch_size * self.block_size
        for i in range(self.rank, len(self) * self.ranks, self.ranks):
            piece = self.ids[i * size : i * size + size + 1].astype(np.int64)
            x = np.zeros(size, dtype=np.int64)
            y = np.full(size, IGNORE, dtype=np.int64)
            targets = max(len(piece) - 1, 0)  # the last rank may have no batch left in its last turn
            x[:targets] = piece[:targets]
            y[:targets] = piece[1:]
            yield (
                torch.from_numpy(x).view(self.batch_size, self.block_size),
                torch.from_numpy(y).view(self.batch_size, self.block_size),
            )
            release(self.ids)
