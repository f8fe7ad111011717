"""What a run keeps: never ahead of its curves, and nothing half written."""

import signal
from pathlib import Path
from unittest import mock

import pytest
import torch
from conftest import TINY

from lightning_gpt.cli import main
from lightning_gpt.runs import read_events
from lightning_gpt.training import LastCheckpoint


def test_a_checkpoint_is_never_ahead_of_its_curves(shell, monkeypatch):
    """Whoever kills the run in the instant after last.ckpt has got its name finds all its curves on the disk."""
    monkeypatch.chdir(shell.folder)
    run = shell.folder / "runs/gpt/version_0"
    steps, rename = [], Path.replace

    def then_look(self, target):
        rename(self, target)
        if Path(target).name != "last.ckpt":
            return
        step = torch.load(target, weights_only=True)["global_step"]
        steps.append(step)
        seen = {tag: [at for at, _ in curve] for tag, curve in read_events(run).items()}
        for name in ("loss/train", "optim/lr", "optim/grad_norm"):
            assert seen[name] == list(range(2, step + 1, 2)), (name, step)
        validated = [10] * (step >= 10) + [20] * (step >= 20)
        for name in ("loss/val", "val/best_loss", "novelty/longest_copied", "sample/'a'/text_summary"):
            assert seen.get(name, []) == validated, (name, step)

    monkeypatch.setattr(Path, "replace", then_look)
    often = ["--trainer.log_every_n_steps=2", "--save_every_n_steps=2", "--sample.prompts=[a]"]
    assert main(["fit", "--data.corpus=text.txt", *TINY, *often]) == 0
    assert steps == list(range(2, 21, 2))


def test_what_a_killed_run_left_half_written_is_removed(shell, monkeypatch):
    monkeypatch.chdir(shell.folder)
    fit = ["fit", "--data.corpus=text.txt", *TINY]
    assert main(fit) == 0
    checkpoints = shell.folder / "runs/gpt/version_0/checkpoints"
    for name in (".last.ckpt.part", ".best.ckpt.0123abcd.part"):
        (checkpoints / name).write_bytes(b"PK")
    assert main([*fit, f"--ckpt_path={checkpoints / 'last.ckpt'}", "--trainer.max_steps=25"]) == 0
    assert sorted(path.name for path in checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.fixture
def trains(tmp_path):
    """A callback whose run trains."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    callback = LastCheckpoint()
    callback.dirpath = str(tmp_path)
    yield callback
    callback.teardown(mock.Mock(), mock.Mock(), "fit")
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_may_say_so_twice(trains):
    """By its own SIGHUP and by its shell's: the second does not end the run before it is saved."""
    trains.on_train_start(mock.Mock(), mock.Mock())
    for _ in range(2):
        signal.raise_signal(signal.SIGHUP)  # whose default ends the process
    assert trains._signal == signal.SIGHUP


def test_nohup_is_respected(trains):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    trains.on_train_start(mock.Mock(), mock.Mock())
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_signal_is_heard_where_standard_error_is_lost(trains, monkeypatch):
    monkeypatch.setattr("os.write", mock.Mock(side_effect=OSError(5, "Input/output error")))
    trains.on_train_start(mock.Mock(), mock.Mock())
    signal.raise_signal(signal.SIGINT)
    assert trains._signal == signal.SIGINT
