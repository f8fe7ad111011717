"""The promise itself: whatever instant a run is killed at, it ends as if it had been left alone."""

import sys

import pytest
from conftest import TINY

from lightning_gpt.commands import verify_resume
from lightning_gpt.ladder import NETWORKS

SIZES = ["--data.block_size=16", "--data.batch_size=4", "--trainer.accelerator=cpu", "--trainer.precision=32-true"]


def says(shell, *args):
    return shell("verify-resume", "--data.corpus=text.txt", *args).stdout


@pytest.mark.slow
def test_kills_change_nothing(shell):
    out = says(shell, *TINY, "--model.network.dropout=0.2", "--steps=400", "--kills=2", "--seed=28")  # two early ones
    assert out.count("  kill ") == 2 and out.count("in the middle of writing") == 1 and "the same, bit for bit" in out
    assert not list(shell.folder.rglob("*.part"))


def test_a_difference_is_found(tmp_path, trained, monkeypatch):
    """The comparison itself: a tensor's last bit, a point of a curve."""
    left = dict(verify_resume.saved_values(trained.run.parent))
    again = verify_resume.saved_values(trained.run.parent)
    assert all(verify_resume.same(value, left[name]) for name, value in again)
    name = next(name for name in left if name.startswith(".state_dict"))
    changed = left[name].clone()
    changed.view(-1)[0] = changed.view(-1)[0].nextafter(changed.new_tensor(9.0))
    assert not verify_resume.same(changed, left[name])
    assert not verify_resume.same(left["loss/val"][:-1], left["loss/val"])
    monkeypatch.setattr(verify_resume, "saved_values", lambda home: [("a", home)])
    with pytest.raises(SystemExit, match="1"):
        verify_resume.compare(1, 2)


def test_its_run_ends_with_it():
    """Ctrl-C does not reach a run in a process group of its own."""
    with (
        pytest.raises(KeyboardInterrupt),
        verify_resume.started([sys.executable, "-c", "import signal; signal.pause()"]) as process,
    ):
        raise KeyboardInterrupt
    assert process.returncode == -9


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["AdamW", "Muon"])
@pytest.mark.parametrize("network", [network.__name__ for network in NETWORKS])
def test_kills_change_nothing_in_any_network(shell, network, optimizer):
    recipe = [f"--model.network={network}", f"--model.optimizer={optimizer}"]
    if network in ("GPT", "ModernGPT", "Ensemble"):
        recipe.append("--model.network.dropout=0.2")
    out = says(shell, *recipe, *SIZES, "--trainer.accumulate_grad_batches=2", "--steps=400", "--kills=4")
    assert "the same, bit for bit" in out


@pytest.mark.slow
def test_twenty_kills(shell):
    out = says(shell, *TINY, "--model.network.dropout=0.2", "--steps=3000", "--kills=20")
    assert out.count("  kill ") == 20 and out.count("in the middle of writing") == 10
    assert "the same, bit for bit" in out
