import csv
import shlex
import signal

import pytest
from conftest import ROOT
from send_signal import send_signal

from lightning_gpt import UserError
from lightning_gpt.commands.ladder import chosen

SMALL = [
    "--data.corpus=text.txt",
    "--trainer.accelerator=cpu",
    "--trainer.val_check_interval=20",
    "--data.batch_size=4",
]


def test_numbers_of_rungs():
    assert chosen("3") == [3] and chosen("2-4") == [2, 3, 4] and chosen("5,1-2,2") == [1, 2, 5]
    for wrong in ("", "0", "3-99", "4-2", "a", "1-2-3", f"1-{10**18}"):
        with pytest.raises(UserError):
            chosen(wrong)


def test_it_trains_reports_and_resumes(shell):
    command = ["ladder", f"--configs={ROOT / 'configs/ladder'}", "--rungs", "1,3", *SMALL, "--trainer.max_steps=40"]
    first = shell(*command).stdout
    assert first.count("trains …") == 2
    home = shell.folder / "runs/ladder"
    assert {p.name for p in home.iterdir()} == {
        "1-bigram", "3-head", "table.md", "table.csv", "ladder.png", "attention.png",
    }  # fmt: skip
    assert (home / "ladder.png").read_bytes().startswith(b"\x89PNG")
    with (home / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["rung"] for row in rows] == ["1-bigram", "3-head"]
    assert all(1 < float(row["val_loss"]) < 4.5 and float(row["seconds"]) > 0 for row in rows)
    assert (home / "table.md").read_text() in first

    second = shell(*command).stdout
    assert "trains …" not in second and "goes on" not in second
    assert (home / "table.md").read_text() in second

    longer = [*command[:-1], "--trainer.max_steps=50"]  # another recipe: not the same run any more
    assert shell(*longer).stdout.count("trains …") == 2


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--name=mine", "gives --name to each rung's fit itself"),
        ("--seed_everything=1338", "name the seeds by --seeds"),
        ("--ckpt_path=best", "leave it out"),
        ("--trainer.logger=false", "leave trainer.logger"),
        ("--trainer.enable_checkpointing=false", "leave trainer.logger and enable_checkpointing"),
    ],
)
def test_what_would_leave_no_runs_to_read_is_refused(shell, option, says):
    command = ["ladder", f"--configs={ROOT / 'configs/ladder'}", "--rungs=1", *SMALL, "--trainer.max_steps=20"]
    err = shell(*command, option, status=2).stderr
    assert says in err and err.count("\n") == 1 and not (shell.folder / "runs").exists()


def test_a_further_recipe(shell):
    (shell.folder / "more.yaml").write_text("trainer: {max_steps: 20}\nname: another\n")
    command = ["ladder", f"--configs={ROOT / 'configs/ladder'}", "--rungs=1", *SMALL, "--config=more.yaml"]
    assert "| 1-bigram |" in shell(*command).stdout


@pytest.mark.slow
def test_an_interrupted_rung_is_resumed(shell):
    command = ["ladder", f"--configs={ROOT / 'configs/ladder'}", "--rungs=2", *SMALL, "--trainer.max_steps=40"]
    command += send_signal(signal.SIGINT, step=30)
    err = shell.process(*command, status=130).stderr
    assert "stopped by SIGINT after step 30," in err and err.rstrip().endswith(shlex.join(command)), err
    out = shell(*command).stdout
    assert "goes on …" in out and "| 2-averaging |" in out
    assert len(list((shell.folder / "runs/ladder/2-averaging").glob("version_*"))) == 1
