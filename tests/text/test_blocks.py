import numpy as np
import pytest
import torch

from lightning_gpt.text import IGNORE, HeldOutBlocks, TrainingBlocks
from lightning_gpt.text.blocks import NOISE, batch_seed

TEXT = np.arange(1000) % 251
IDS = TEXT.astype(np.uint8)


def test_a_target_is_the_next_character():
    x, y = TrainingBlocks(IDS, 16, 4)[3]
    assert x.shape == y.shape == (4, 16) and x.dtype == torch.int64
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert torch.equal((x[:, -1] + 1) % 251, y[:, -1])


def test_the_first_batch_is_the_plain_codes():
    torch.manual_seed(1337)
    offsets = torch.randint(len(IDS) - 8, (4,))
    x = torch.stack([torch.from_numpy(TEXT[i : i + 8]) for i in offsets])
    y = torch.stack([torch.from_numpy(TEXT[i + 1 : i + 9]) for i in offsets])
    drawn = TrainingBlocks(IDS, 8, 4, seed=1337)[0]
    assert torch.equal(drawn[0], x) and torch.equal(drawn[1], y)


def test_a_batch_depends_on_its_number_alone():
    blocks = TrainingBlocks(IDS, 8, 4, seed=5)
    late = TrainingBlocks(IDS, 8, 4, seed=5, first=7)
    torch.manual_seed(99)  # global state has no say
    for k, (batch, other) in enumerate(zip(late, TrainingBlocks(IDS, 8, 4, seed=5, first=7), strict=False)):
        assert torch.equal(batch[0], blocks[7 + k][0]) and torch.equal(batch[0], other[0])
        if k == 3:
            break


def test_it_leaves_the_global_random_state_alone():
    state = torch.get_rng_state()
    TrainingBlocks(IDS, 8, 4)[2]
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_what_one_rank_would_draw(ranks):
    whole = TrainingBlocks(IDS, 8, 4 * ranks, seed=5)
    parts = [TrainingBlocks(IDS, 8, 4, seed=5, rank=rank) for rank in range(ranks)]
    for k in (0, 1, 1000):
        assert torch.equal(torch.cat([part[k][0] for part in parts]), whole[k][0])


def test_seeds_of_batches_never_meet():
    seeds = np.array([batch_seed(1337, k) for k in range(100_000)])
    assert seeds[0] == 1337 and len(np.unique(seeds)) == len(seeds)
    neighbour = {batch_seed(1338, k) for k in range(1000)}
    assert len(neighbour & set(seeds[:1000].tolist())) <= 1  # else the next seed's run would draw the same batches


def test_every_offset_is_drawn_and_none_beyond():
    ids = np.arange(20, dtype=np.uint8)
    first = torch.cat([TrainingBlocks(ids, 8, 64)[k][0][:, 0] for k in range(20)])
    assert set(first.tolist()) == set(range(12))  # 20 - 8: the last block's last target is the last character


def slow_windows(ids, block_size):
    """What validation must cover, said the slow way."""
    for start in range(0, len(ids) - 1, block_size):
        x = ids[start : start + block_size]
        y = ids[start + 1 : start + 1 + block_size]
        yield x[: len(y)].tolist(), y.tolist()


@pytest.mark.parametrize("n", [2, 8, 9, 10, 17, 1000])
@pytest.mark.parametrize("tokens", [8, 40, 16_384])
def test_held_out_blocks_are_the_slow_windows(monkeypatch, n, tokens):
    monkeypatch.setattr(HeldOutBlocks, "TOKENS", tokens)
    found = []
    shapes = set()
    for x, y in HeldOutBlocks(IDS[:n], 8):
        shapes.add(x.shape)
        for row_x, row_y in zip(x, y, strict=True):
            real = row_y != IGNORE
            if real.any():
                found.append((row_x[real].tolist(), row_y[real].tolist()))
    assert found == list(slow_windows(TEXT[:n], 8))
    assert len(shapes) == 1


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_ranks_cover_every_target_once_in_equally_many_batches(monkeypatch, ranks):
    monkeypatch.setattr(HeldOutBlocks, "TOKENS", 40)
    shares = [list(HeldOutBlocks(IDS, 8, rank, ranks)) for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    assert all(len(share) == len(HeldOutBlocks(IDS, 8, 0, ranks)) for share in shares)
    targets = torch.cat([y[y != IGNORE] for share in shares for _, y in share])
    assert sorted(targets.tolist()) == sorted(TEXT[1:].tolist())


def test_noise_replaces_its_share_of_what_is_read():
    plain, noised = TrainingBlocks(IDS, 100, 50), TrainingBlocks(IDS, 100, 50, noise=0.2)
    changed = plain[3][0] != noised[3][0]
    assert 0.17 < changed.float().mean() < 0.23  # 1 in 251 is replaced by itself
    assert torch.equal(plain[3][1], noised[3][1])
    assert torch.equal(noised[3][0], noised[3][0]) and not torch.equal(noised[3][0], noised[4][0])
    assert changed.any(dim=0).all() and changed.any(dim=1).all()  # no place is spared


def test_noise_has_random_numbers_of_its_own():
    drawn = [torch.rand(4, generator=torch.Generator().manual_seed(batch_seed(s, 7))) for s in (1337, 1337 ^ NOISE)]
    assert not torch.equal(*drawn)


def test_ranks_share_the_noise_too():
    whole = TrainingBlocks(IDS, 8, 8, seed=5, noise=0.3)
    parts = [TrainingBlocks(IDS, 8, 4, seed=5, rank=rank, noise=0.3) for rank in range(2)]
    assert torch.equal(torch.cat([part[9][0] for part in parts]), whole[9][0])
