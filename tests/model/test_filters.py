import pytest
import torch

from lightning_gpt.model import Sampling, keep_top_k, keep_top_p, next_token

LOGITS = torch.tensor([[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4]]).log()


def kept(filtered):
    return [row.isfinite().nonzero().flatten().tolist() for row in filtered]


@pytest.mark.parametrize(("k", "expected"), [(1, [[0], [3]]), (2, [[0, 1], [2, 3]]), (9, [[0, 1, 2, 3]] * 2)])
def test_top_k(k, expected):
    assert kept(keep_top_k(LOGITS, k)) == expected


@pytest.mark.parametrize(
    ("p", "expected"),
    [(1e-9, [[0], [3]]), (0.49, [[0], [2, 3]]), (0.6, [[0, 1], [2, 3]]), (0.95, [[0, 1, 2, 3], [0, 1, 2, 3]])],
)
def test_top_p(p, expected):
    assert kept(keep_top_p(LOGITS, p)) == expected


def test_what_is_kept_keeps_its_logits():
    for filtered in (keep_top_k(LOGITS, 2), keep_top_p(LOGITS, 0.6)):
        finite = filtered.isfinite()
        assert torch.equal(filtered[finite], LOGITS[finite])


def test_greedy_takes_the_likeliest_and_draws_nothing():
    state = torch.get_rng_state()
    assert next_token(LOGITS, Sampling(temperature=0)).tolist() == [[0], [3]]
    assert torch.equal(state, torch.get_rng_state())


def test_draws_follow_the_probabilities():
    generator = torch.Generator().manual_seed(0)
    rows = LOGITS[:1].expand(20_000, -1)
    shares = next_token(rows, generator=generator).flatten().bincount(minlength=4) / 20_000
    torch.testing.assert_close(shares, LOGITS[0].exp(), atol=0.02, rtol=0)  # 5 standard deviations
    colder = next_token(rows, Sampling(temperature=0.5), generator).flatten().bincount(minlength=4) / 20_000
    torch.testing.assert_close(colder, (2 * LOGITS[0]).softmax(0), atol=0.02, rtol=0)
