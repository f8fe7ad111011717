"""A trial: a run in small, which measures, ends by the clock and leaves nothing."""

import signal

import pytest
from conftest import OPEN

from lightning_gpt.launch.trial import Stopwatch, try_out


@pytest.mark.parametrize("limit", [1, 0.5])
def test_a_limit_of_held_out_batches_is_heeded(corpus, limit):
    given = [f"--data.corpus={corpus}", *OPEN]
    whole, some = (try_out([*given, f"--trainer.limit_val_batches={x}"], 3).batches for x in (1.0, limit))
    assert (whole, some) == (2, 1)


def test_a_trial_ends_by_the_clock(corpus, monkeypatch):
    seen = []
    monkeypatch.setattr(Stopwatch, "on_validation_start", lambda self, *_: seen.append(len(self.steps)))
    try_out([f"--data.corpus={corpus}", *OPEN, "--trainer.accumulate_grad_batches=2"], 12, longest=0.0)
    assert seen == [6]  # three steps of two batches


def test_a_trial_that_is_interrupted_says_that_nothing_is_kept(corpus, monkeypatch, capfd):
    monkeypatch.setattr(Stopwatch, "on_train_batch_end", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        try_out([f"--data.corpus={corpus}", *OPEN])
    said = capfd.readouterr().err.strip()
    assert "of which nothing is kept; again to stop at once" in said and "\n" not in said
