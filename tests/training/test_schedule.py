import math

import pytest

from lightning_gpt import UserError
from lightning_gpt.training import Schedule


def test_cosine_is_nanogpts():
    schedule, full, lowest = Schedule(warmup_steps=100, decay="cosine", final=0.1), 1e-3, 1e-4
    for step in (0, 50, 99, 100, 101, 1000, 1999, 2000):
        if step < 100:
            expected = full * (step + 1) / 101
        else:
            expected = lowest + 0.5 * (1 + math.cos(math.pi * (step - 100) / 1900)) * (full - lowest)
        assert full * schedule(step, 2000) == pytest.approx(expected)


def test_linear_is_stable_and_then_a_straight_line():
    schedule = Schedule(warmup_steps=10, decay="linear", decay_fraction=0.25, final=0.2)
    assert [schedule(step, 100) for step in (10, 50, 75)] == [1.0, 1.0, 1.0]
    assert schedule(80, 100) == pytest.approx(1 - 0.8 * 5 / 25)
    assert schedule(100, 100) == pytest.approx(0.2)


def test_constant():
    assert {Schedule()(step, -1) for step in (0, 1, 10**6)} == {1.0}


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
def test_it_never_leaves_its_range(decay):
    schedule = Schedule(warmup_steps=7, decay=decay, final=0.1)
    shares = [schedule(step, 40) for step in range(60)]
    assert all(0 < share <= 1 for share in shares)
    assert shares[:7] == sorted(shares[:7])


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
@pytest.mark.parametrize("steps", [65, 100, 150])
def test_what_was_to_come_is_stretched_to_another_number_of_steps(decay, steps):
    planned = Schedule(warmup_steps=10, decay=decay, decay_fraction=0.8, final=0.1)
    changed = Schedule(warmup_steps=10, decay=decay, decay_fraction=0.8, final=0.1, changes=[(60, 100)])
    assert [changed(step, steps) for step in range(61)] == [planned(step, 100) for step in range(61)]
    assert changed(steps, steps) == pytest.approx(planned(100, 100))
    middle = changed((60 + steps) / 2, steps)
    assert middle == pytest.approx(planned(80, 100))


def test_a_run_that_ends_before_the_change_is_another_one():
    changed = Schedule(decay="linear", decay_fraction=1.0, changes=[(60, 100)])
    plain = Schedule(decay="linear", decay_fraction=1.0)
    for steps in (30, 60):
        assert [changed(step, steps) for step in range(steps + 1)] == [plain(step, steps) for step in range(steps + 1)]


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear"])
def test_a_second_change_leaves_what_was_as_it_was(decay):
    options = {"warmup_steps": 10, "decay": decay, "decay_fraction": 0.8}
    once, twice = (Schedule(**options, changes=changes) for changes in ([(60, 100)], [(60, 100), (90, 120)]))
    assert [twice(step, 110) for step in range(91)] == [once(step, 120) for step in range(91)]
    assert twice(110, 110) == pytest.approx(once(120, 120))
    assert twice(100, 110) == pytest.approx(once(105, 120))


@pytest.mark.parametrize("changes", [[(-1, 100)], [(100, 100)], [(60, 100), (60, 120)], [(60, 100), (90, 80)]])
def test_a_change_comes_before_the_planned_end_and_after_the_last_one(changes):
    with pytest.raises(UserError, match=r"schedule\.changes must each come before the end that was planned"):
        Schedule(changes=changes)


def test_it_knows_how_long_a_run_was_to_be():
    assert Schedule().planned(20) == 20
    assert Schedule(changes=[(10, 14), (12, 16)]).planned(20) == 14
