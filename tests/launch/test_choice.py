"""What is chosen for a time, by what is known of a machine, without a run."""

import dataclasses
import time

import pytest

from lightning_gpt.budget import PLANS, law
from lightning_gpt.errors import UserError
from lightning_gpt.launch import choice
from lightning_gpt.launch.choice import Chooser
from lightning_gpt.launch.trial import Trial

FAST = Trial(step=0.01, held_out=0.3, batches=3, samples=0.2, besides=1.0, ending=0.1, peak_memory=0)


def chooser_of(characters, rate=2e11):
    """A chooser for a text that there is not, on a machine that is said to be this one."""
    chooser = object.__new__(Chooser)
    vars(chooser).update(
        args=[], tokens=characters, held_out=characters // 9, per_token=1.0, characters=characters, rate=rate,
        layer=choice.LAYER, accumulate=1, tried={}, named=False, block_size=None,
    )  # fmt: skip
    return chooser


def test_the_loss_to_be_expected_is_of_a_token(corpus):
    characters, pairs = (
        Chooser([f"--data.corpus={corpus}", *more], named=False)
        for more in ([], ["--data.tokenizer=bpe", "--data.vocab_size=300"])
    )
    plan = PLANS[0]
    characters.tried[plan] = pairs.tried[plan] = FAST
    assert pairs.per_token > 1.5
    read = [chooser.fitted(plan, 60.0) for chooser in (characters, pairs)]
    assert read[0].loss == law()(plan.parameters, read[0].passes * characters.characters, characters.characters)
    assert read[1].loss / pairs.per_token == pytest.approx(
        law()(plan.parameters, read[1].passes * pairs.characters, pairs.characters)
    )


def test_what_has_no_time_is_tried_small_and_refused(corpus, monkeypatch):
    tried = []
    monkeypatch.setattr(choice, "try_out", lambda args, *_: tried.append(args) or FAST)
    chooser = Chooser([f"--data.corpus={corpus}"], named=False)
    assert chooser.best(1.0).plan == PLANS[0]
    with pytest.raises(UserError, match="too short"):
        chooser.choose(1.0, time.perf_counter())
    assert len(tried) == 1


def test_no_machine_is_fast_enough_to_learn_the_text_by_heart(corpus):
    chooser = Chooser([f"--data.corpus={corpus}"], named=False)
    plan = next(plan for plan in PLANS if plan.parameters > chooser.characters)
    chooser.tried[plan] = FAST
    most = chooser.fitted(plan, 60.0).most
    assert most * plan.tokens_per_step / chooser.tokens == pytest.approx(8, rel=0.01)


def test_a_longer_budget_is_expected_to_do_better(corpus):
    chooser = Chooser([f"--data.corpus={corpus}"], named=False)
    losses = [chooser.best(seconds).loss for seconds in (30, 120, 600, 3600)]
    assert losses == sorted(losses, reverse=True)


def test_no_choice_learns_the_text_by_heart(corpus):
    chooser = Chooser([f"--data.corpus={corpus}"], named=False)
    for seconds in (30, 600, 24 * 3600):
        chooser.tried = dict.fromkeys(PLANS, FAST)
        chosen = chooser.best(seconds)
        assert chosen.passes <= 8 or chosen.plan.parameters <= 0.5 * chooser.tokens


def test_a_held_out_text_that_takes_too_long_is_read_in_part(corpus):
    chooser = Chooser([f"--data.corpus={corpus}"], named=False)
    chooser.tried[None] = Trial(
        step=0.01, held_out=100.0, batches=1000, samples=0.2, besides=1.0, ending=0.1, peak_memory=0
    )
    chosen = chooser.fitted(None, 60.0)
    assert 1 <= chosen.held_out < 20 and chosen.after()["trainer.limit_val_batches"] == chosen.held_out


def test_samples_that_take_long_leave_the_loss_exact(corpus):
    """On a GPU five networks of eight blocks needed a second for the held-out text and four for their samples."""
    chooser = Chooser([f"--data.corpus={corpus}"], named=False)
    chooser.tried[None] = dataclasses.replace(FAST, held_out=1.3, batches=14, samples=4.0)
    assert chooser.fitted(None, 90.0).held_out is None


def test_a_trial_corrects_what_is_more_of_a_step(monkeypatch):
    """Products on two cores, all else on a GPU; the other guess, of which the trial says little, stays."""
    two, four = PLANS[1:3]
    monkeypatch.setattr(choice, "try_out", lambda *_: dataclasses.replace(FAST, step=0.05))
    on_cpu, on_gpu = chooser_of(10**6, 2e11), chooser_of(10**6, 3e14)
    for chooser in (on_cpu, on_gpu):
        chooser.try_out(two, 2.0, 10)
        chooser.tried.clear()
        assert chooser.trial(two).step == pytest.approx(0.05)
    assert on_cpu.layer == choice.LAYER and on_gpu.rate == 3e14
    products = four.flops_per_token * four.tokens_per_step / (two.flops_per_token * two.tokens_per_step)
    assert on_cpu.trial(four).step == pytest.approx(products * 0.04 + 0.02)
    assert on_gpu.trial(four).step == pytest.approx(0.1, rel=0.01)  # twice as many blocks


@pytest.mark.parametrize("characters", [30_000, 350_000, 10**6, 3 * 10**8])
@pytest.mark.parametrize("seconds", [30, 600, 10_800])
def test_no_text_is_learned_by_heart_whatever_the_time(characters, seconds):
    chooser = chooser_of(characters)
    chosen = chooser.best(seconds)
    assert chosen.steps >= choice.FEWEST_STEPS
    assert chosen.passes <= 9  # a tiny network that reads on and on is no choice either
