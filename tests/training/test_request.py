"""A request in a run's folder stops the run as Ctrl-C does: saved, and as good as never stopped."""

import math

import pytest
from conftest import TINY
from send_signal import ask_to_stop_at

from lightning_gpt.commands.verify_resume import same, saved_values
from lightning_gpt.runs import Run
from lightning_gpt.runs.stop import FILE
from lightning_gpt.training import checkpoints

RECIPE = ["--data.corpus=text.txt", *TINY, "--trainer.max_steps=40", "--model.network.dropout=0.2"]


@pytest.fixture
def always(monkeypatch):
    """The request is looked for after every step."""
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", 0.0)


def test_it_is_saved_and_goes_on_exactly(shell, always):
    done = shell("fit", *RECIPE, "--name=broken", *ask_to_stop_at(23), status=130)
    broken = shell.folder / "runs/broken/version_0"
    assert "stopped by a request after step 23, saved as" in done.stderr
    assert "fit --ckpt_path runs/broken/version_0/checkpoints/last.ckpt" in done.stderr
    assert not Run(broken).result.finished and not (broken / FILE).exists()
    (broken / FILE).touch()  # one that no fit lived to see: it is not for this one
    shell("fit", "--ckpt_path=last")
    assert Run(broken).result.finished and not (broken / FILE).exists()
    shell("fit", *RECIPE, "--name=whole")
    left, right = (dict(saved_values(shell.folder / f"runs/{name}")) for name in ("whole", "broken"))
    assert left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)


def test_one_that_comes_at_the_end_is_too_late(shell, always):
    shell("fit", *RECIPE, "--trainer.max_steps=20", *ask_to_stop_at(20))
    run = Run(shell.folder / "runs/gpt/version_0")
    assert run.result.finished and not (run.folder / FILE).exists()


def test_a_validation_that_is_due_comes_first(shell, always):
    said = shell("fit", *RECIPE, *ask_to_stop_at(20), status=130)
    assert "after step 20," in said.stderr and "step     20" in said.stdout


def test_steps_in_between_do_not_look_at_the_disk(shell, monkeypatch):
    monkeypatch.setattr(checkpoints, "LOOK_EVERY", math.inf)
    monkeypatch.setattr(checkpoints, "asked_to_stop", lambda folder: pytest.fail("it looks"))
    shell("fit", *RECIPE, *ask_to_stop_at(3))
