"""A run that was interrupted is found again; one that was configured otherwise is not taken for it."""

import os
import re
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from conftest import TINY

from lightning_gpt.cli import main
from lightning_gpt.files import locked
from lightning_gpt.launch.configuration import GO_ON_FROM
from lightning_gpt.runs import Run, new_version
from lightning_gpt.runs.resume import unfinished

FIT = ["fit", "--data.corpus=text.txt", *TINY, "--resume=auto"]


def interrupt(last):
    """Makes a finished run one that was killed after its last checkpoint and before it could say that it was done."""
    result = last.parent.parent / "result.json"
    result.write_text(result.read_text().replace('"finished": true', '"finished": false'))


@pytest.fixture
def interrupted(shell, trained, monkeypatch):
    """A folder whose newest run was killed at its end."""
    monkeypatch.chdir(shell.folder)
    run = shell.folder / "runs/gpt/version_0"
    shutil.copytree(trained.run, run)
    last = run / "checkpoints/last.ckpt"
    (shell.folder / "whole.ckpt").write_bytes(last.read_bytes())
    interrupt(last)
    return run


def test_a_finished_run_is_left_alone(shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    assert main(FIT) == main(FIT) == 0
    assert sorted(path.name for path in (shell.folder / "runs/gpt").iterdir()) == ["version_0", "version_1"]
    assert "goes on" not in capsys.readouterr().out


def test_auto_goes_on(interrupted, capsys):
    assert main(FIT) == 0
    assert "goes on with runs/gpt/version_0 after step 20" in capsys.readouterr().out
    assert [path.name for path in interrupted.parent.iterdir()] == ["version_0"]


def test_auto_goes_on_with_a_run_whose_configuration_has_names_of_version_0_1(interrupted, shell, capsys):
    modern = ["--model.network=ModernGPT", "--trainer.max_steps=10", "--name=modern"]
    assert main([*FIT, *modern, "--resume=never"]) == 0
    config = shell.folder / "runs/modern/version_0/config.yaml"
    old = config.read_text().replace("tie_weights: false", "own_head: true").replace("conv_width", "convolution")
    assert "own_head: true" in old and "convolution: 4" in old
    config.write_text(old)
    interrupt(config.parent / "checkpoints/last.ckpt")
    assert main([*FIT, *modern]) == 0
    assert "goes on with runs/modern/version_0" in capsys.readouterr().out


def test_auto_refuses_what_differs_and_names_it(interrupted, capsys):
    assert main([*FIT, "--model.optimizer.lr=0.5", "--data.batch_size=8"]) == 2
    says = capsys.readouterr().err
    assert "data.batch_size: 4, now 8" in says and "lr: 0.001, now 0.5" in says and "--resume never" in says
    assert main([*FIT, "--model.optimizer.lr=0.5", "--resume=never"]) == 0


def test_auto_refuses_another_text_under_the_same_name(interrupted, shell, capsys):
    text = (shell.folder / "text.txt").read_text()
    (shell.folder / "text.txt").write_text(text[::-1])
    assert main(FIT) == 2
    assert "has changed" in capsys.readouterr().err


def test_ask_without_a_terminal_begins_anew(interrupted):
    assert main([*FIT, "--resume=ask"]) == 0
    assert sorted(path.name for path in interrupted.parent.iterdir()) == ["version_0", "version_1"]


@pytest.mark.parametrize(("answer", "versions"), [("", 1), ("n", 2)])
def test_ask(interrupted, monkeypatch, answer, versions):
    asked = []
    monkeypatch.setattr("sys.argv", sys.argv[:1])
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main([*FIT, "--resume=ask"]) == 0
    assert re.search(r"version_0 was interrupted after step 20 of 20: go on with it\?", asked[0])
    assert len(list(interrupted.parent.iterdir())) == versions
    assert sys.argv[1:] == [] and GO_ON_FROM not in os.environ


@pytest.mark.parametrize(("answers", "versions"), [(["maybe", "\x1b[A", "y"], 1), (["what?", "NO"], 2)])
def test_ask_until_there_is_an_answer(interrupted, monkeypatch, answers, versions):
    monkeypatch.setattr("builtins.input", lambda _: answers.pop(0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main([*FIT, "--resume=ask"]) == 0
    assert len(list(interrupted.parent.iterdir())) == versions and not answers


@pytest.mark.parametrize(
    ("end", "status", "says"), [(EOFError, 2, "no answer: --resume auto"), (KeyboardInterrupt, 130, "stopped")]
)
def test_ask_and_no_answer(interrupted, monkeypatch, capsys, end, status, says):
    def nothing(question):
        raise end

    monkeypatch.setattr("builtins.input", nothing)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert main([*FIT, "--resume=ask"]) == status
    assert says in capsys.readouterr().err and len(list(interrupted.parent.iterdir())) == 1


def test_curves_stay_in_order_where_the_clock_was_set_back(interrupted, monkeypatch):
    """TensorBoard's file names begin with the clock: the same second, a day before, and 1970 without a battery."""
    begun = time.time()
    for number, clock in enumerate((begun, begun - 86400, 100.0), start=1):
        monkeypatch.setattr(time, "time", lambda now=clock: now)
        last, steps = f"{interrupted}/checkpoints/last.ckpt", 20 + 10 * number
        assert main(["fit", f"--ckpt_path={last}", f"--trainer.max_steps={steps}"]) == 0
        assert len(list(interrupted.glob("events.out.tfevents.*"))) == 1 + number
    assert [step for step, _ in Run(interrupted).curves["val/loss"]] == [10, 20, 30, 40, 50]


def test_further_ranks_are_given_the_answer_and_do_not_ask(interrupted, monkeypatch, capsys):
    """Lightning starts them by the same command line while the first one runs."""
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setenv(GO_ON_FROM, "runs/gpt/version_0/checkpoints/last.ckpt")
    assert main([*FIT, "--resume=ask"]) == 0
    assert [path.name for path in interrupted.parent.iterdir()] == ["version_0"]


def test_a_run_of_version_0_1_says_in_its_checkpoint_whether_it_is_finished(interrupted, capsys):
    (interrupted / "result.json").unlink()
    last = interrupted / "checkpoints/last.ckpt"
    contents = torch.load(last, weights_only=True)
    contents["callbacks"]["LastCheckpoint"] = {"finished": True}
    torch.save(contents, last)
    assert unfinished(interrupted.parent) is None
    contents["callbacks"]["LastCheckpoint"] = {"finished": False}
    torch.save(contents, last)
    assert unfinished(interrupted.parent).step == 20


@pytest.mark.parametrize("way", ["renamed", "moved", "another path"])
def test_a_run_goes_on_where_it_lies_and_keeps_its_best(interrupted, shell, way):
    """Lightning forgets the best score of a run whose folder has another path than it had."""
    before = torch.load(interrupted / "checkpoints/best.ckpt", weights_only=True)["global_step"]
    folder = {
        "renamed": interrupted.with_name("mine"), "moved": shell.folder / "elsewhere/deep/run",
        "another path": interrupted,
    }[way]  # fmt: skip
    folder.parent.mkdir(parents=True, exist_ok=True)
    interrupted.rename(folder)
    last = (folder if way == "another path" else folder.relative_to(shell.folder)) / "checkpoints/last.ckpt"
    # a rate that makes all that follows worse
    assert main(["fit", f"--ckpt_path={last}", "--trainer.max_steps=40", "--model.optimizer.lr=3.0"]) == 0
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    assert best["global_step"] == before and Run(folder).result.best.step == before
    assert Run(folder).result.steps == 40
    versions = list((shell.folder / "runs").rglob("version_*"))
    assert versions == ([folder] if way == "another path" else [])


def test_two_runs_do_not_write_to_one_folder(interrupted, capsys):
    with locked(interrupted) as mine:
        assert mine
        assert main(FIT) == 2
    assert "is being written to by another run" in capsys.readouterr().err


def test_two_runs_started_at_once_have_two_folders(tmp_path, monkeypatch):
    """Both have seen that nothing is taken before either takes its folder."""
    both, look = threading.Barrier(2), Path.glob

    def look_together(self, pattern):
        found = list(look(self, pattern))
        if not found:
            both.wait(timeout=60)
        return found

    monkeypatch.setattr(Path, "glob", look_together)
    with ThreadPoolExecutor(2) as pool:
        taken = set(pool.map(new_version, [tmp_path / "gpt"] * 2))
    assert taken == {tmp_path / "gpt" / "version_0", tmp_path / "gpt" / "version_1"}


@pytest.mark.parametrize("where", [["--runs_dir=moved"], ["--name=other"], ["--runs_dir={}/runs"]])
def test_auto_goes_on_with_a_run_that_was_moved_renamed_or_is_reached_otherwise(interrupted, capsys, where):
    (option,) = (word.format(Path.cwd()) for word in where)
    if "moved" in option:
        Path("runs").rename("moved")
    elif "other" in option:
        Path("runs/gpt").rename("runs/other")
    assert main([*FIT, option]) == 0
    assert "goes on with" in capsys.readouterr().out
    assert len(list(Path().rglob("version_*"))) == 1


def test_auto_without_a_configuration_says_what_can_be_done(interrupted, capsys):
    (interrupted / "config.yaml").unlink()
    assert main(FIT) == 2
    err = capsys.readouterr().err
    assert "go on with --ckpt_path runs/gpt/version_0/checkpoints/last.ckpt, or begin anew with --resume never" in err
    assert main(["fit", f"--ckpt_path={interrupted}/checkpoints/last.ckpt", *TINY, "--data.corpus=text.txt"]) == 0
    assert "no config.yaml lies by" in capsys.readouterr().err


def test_auto_names_a_text_that_has_changed(interrupted, capsys):
    with open("text.txt", "a") as file:
        file.write("#")
    assert main(FIT) == 2
    assert "text.txt has changed since that run began" in capsys.readouterr().err


def test_a_saved_configuration_after_a_checkpoint_does_not_take_it_back(interrupted, capsys):
    last = interrupted / "checkpoints/last.ckpt"
    assert main(["fit", f"--ckpt_path={last}", f"--config={interrupted}/config.yaml", "--trainer.max_steps=22"]) == 0
    assert "steps 20 to 22" in capsys.readouterr().out
