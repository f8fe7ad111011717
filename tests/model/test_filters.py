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


class MT19937:
    """The generator by its definition (Matsumoto and Nishimura 1998), in plain Python."""

    def __init__(self, seed):
        self.state = [seed % 2**32]
        for i in range(1, 624):
            before = self.state[-1]
            self.state.append((1812433253 * (before ^ before >> 30) + i) % 2**32)
        self.outputs = iter(())

    def __call__(self):
        while (output := next(self.outputs, None)) is None:
            for i in range(624):
                y = self.state[i] & 0x80000000 | self.state[(i + 1) % 624] & 0x7FFFFFFF
                self.state[i] = self.state[(i + 397) % 624] ^ y >> 1 ^ (0x9908B0DF if y & 1 else 0)
            self.outputs = iter(list(self.state))
        output ^= output >> 11
        output ^= output << 7 & 0x9D2C5680
        output ^= output << 15 & 0xEFC60000
        return output ^ output >> 18


@pytest.mark.parametrize("seed", [0, 1337, 2**32 + 5])
def test_draws_are_those_of_the_documented_scheme(seed):
    generator, twister = torch.Generator().manual_seed(seed), MT19937(seed)
    sums = LOGITS[1].exp().cumsum(0).tolist()
    for _ in range(400):
        u = (twister() % 2**21 * 2**32 + twister()) / 2**53
        assert next_token(LOGITS[1:], generator=generator).item() == sum(total <= u for total in sums)


def test_the_largest_number_draws_a_token_that_has_probability(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: torch.full(shape, 1 - 2**-53, dtype=torch.float64))
    for total in torch.linspace(-1e-6, 1e-6, 41):  # softmax's sum as rounding may leave it
        monkeypatch.setattr(torch.Tensor, "softmax", lambda logits, dim, total=total: logits.exp() * (1 + total))
        assert next_token(torch.tensor([[0.5, 0.5, 0.0]]).log()).item() == 1
