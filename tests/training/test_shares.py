"""Matrices that several ranks hold rows of, each of which is worked on whole by one of them. Ranks are threads here."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lightning_gpt.training import shares
from lightning_gpt.training.optimizer import orthogonalised
from lightning_gpt.training.shares import in_shares, rows_of


class Ranks:
    """Threads that exchange tensors as `torch.distributed` does, for a group that is its own rank."""

    def __init__(self, number, monkeypatch):
        self.number = number
        self.barrier = threading.Barrier(number, timeout=10)
        self.letters = {}
        self.sent = [0] * number
        monkeypatch.setattr(shares, "get_rank", lambda group: group)
        monkeypatch.setattr(shares, "get_world_size", lambda group: number)
        monkeypatch.setattr(shares, "all_to_all_single", self.exchange)

    def exchange(self, received, sent, incoming, outgoing, rank):
        for other, letter in enumerate(torch.split(sent, outgoing)):
            self.letters[rank, other] = letter
            self.sent[rank] += letter.numel() if other != rank else 0
        self.barrier.wait()
        for other, place in enumerate(torch.split(received, incoming)):
            place.copy_(self.letters[other, rank])
        self.barrier.wait()

    def run(self, work):
        with ThreadPoolExecutor(self.number) as pool:
            return list(pool.map(work, range(self.number)))


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize(
    "shapes",
    [[(6, 4)] * 6 + [(2, 6)] * 6 + [(4, 4)], [(5, 3)], [(1, 8), (3, 2), (3, 2)]],
    ids=["more matrices than ranks", "one matrix", "fewer rows than ranks"],
)
def test_it_is_as_if_one_rank_had_them_all(ranks, shapes, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    rows = [len(matrix) for matrix in matrices]
    mine = [[part_of(matrix, rank, ranks) for matrix in matrices] for rank in range(ranks)]
    threads = Ranks(ranks, monkeypatch)
    parts = threads.run(lambda rank: in_shares(mine[rank], rows, orthogonalised, rank))
    for i, matrix in enumerate(matrices):
        # products of stacks of other heights are rounded otherwise, in the last bits
        torch.testing.assert_close(torch.cat([part[i] for part in parts]), orthogonalised(matrix[None])[0])


def part_of(matrix, rank, ranks):
    """As FSDP 2 deals a matrix's rows."""
    parts = torch.chunk(matrix, ranks)
    return parts[rank] if rank < len(parts) else matrix[:0]


def test_each_rank_has_as_many_rows_as_chunk_gives_it():
    for rows in range(1, 20):
        for ranks in range(1, 12):
            dealt = [len(part_of(torch.zeros(rows, 1), rank, ranks)) for rank in range(ranks)]
            assert [rows_of(rank, ranks, rows) for rank in range(ranks)] == dealt


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_no_rank_does_or_sends_more_than_another(ranks, monkeypatch):
    """What a rank sends is what docs/cluster.md counts with: its rows of all matrices, and its rows' directions."""
    rows, seen = [8] * 16, [0] * ranks
    threads = Ranks(ranks, monkeypatch)

    def work(rank):
        def count(matrices):
            seen[rank] += len(matrices)
            return matrices

        return in_shares([part_of(torch.ones(8, 2), rank, ranks) for _ in rows], rows, count, rank)

    threads.run(work)
    held = 16 * 8 * 2 // ranks
    assert seen == [16 // ranks] * ranks
    assert threads.sent == [2 * held * (ranks - 1) // ranks] * ranks
