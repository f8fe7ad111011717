"""What a run keeps: never ahead of its curves, and nothing half written."""

import signal
from pathlib import Path
from unittest import mock

import pytest
import torch
from conftest import TINY
from lightning.pytorch import Trainer

from lightning_gpt.cli import main
from lightning_gpt.ladder import Bigram
from lightning_gpt.runs import Run, read_events
from lightning_gpt.training import TRAINER_DEFAULTS, Board, CharDataModule, LanguageModel, LastCheckpoint, callbacks


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


@pytest.mark.parametrize(
    "options", [{"limit_val_batches": 0}, {"val_check_interval": 1000}, {"max_time": {"hours": 1}}]
)
def test_the_last_step_is_kept_whatever_the_options(shell, monkeypatch, options):
    monkeypatch.chdir(shell.folder)
    given = {**TRAINER_DEFAULTS, "max_steps": 7, "accelerator": "cpu", "enable_progress_bar": False, **options}
    trainer = Trainer(**given, callbacks=callbacks(), logger=Board("runs", name="mine"))
    trainer.fit(LanguageModel(Bigram), CharDataModule("text.txt", block_size=8, batch_size=2))
    last = Path(trainer.log_dir) / "checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 7
    assert not list(last.parent.glob(".*"))
    trainer = Trainer(**{**given, "max_steps": 9}, callbacks=callbacks(), logger=Board("runs", name="mine"))
    trainer.fit(LanguageModel(Bigram), CharDataModule("text.txt", block_size=8, batch_size=2), ckpt_path=last)
    assert trainer.global_step == 9


def test_a_resumed_run_of_version_0_1_keeps_its_validations(shell, monkeypatch):
    monkeypatch.chdir(shell.folder)
    assert main(["fit", "--data.corpus=text.txt", *TINY]) == 0
    run = Run(shell.folder / "runs/gpt/version_0")
    before = run.result.validations
    saved = torch.load(run.last, weights_only=True)
    del saved["callbacks"]["ResultFile"]
    torch.save(saved, run.last)
    (run.folder / "result.json").unlink()
    assert main(["fit", "--data.corpus=text.txt", *TINY, f"--ckpt_path={run.last}", "--trainer.max_steps=30"]) == 0
    after = Run(run.folder).result.validations
    assert [v.step for v in after] == [10, 20, 30]
    for old, new in zip(before, after[:2], strict=True):
        assert new.nats_per_token == pytest.approx(old.nats_per_token, abs=1e-6)
        assert new.bits_per_byte == pytest.approx(old.bits_per_byte, abs=1e-6)
    assert after[0].seconds == pytest.approx(after[1].seconds / 2) and after[1].seconds == before[1].seconds


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
