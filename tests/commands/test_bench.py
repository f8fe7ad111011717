"""bench: what it measures has to be asked for by name; its table goes into a document's own block and nowhere else."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lightning_gpt import UserError
from lightning_gpt.benchmark.measurements import TRIAL, Bench, written
from lightning_gpt.benchmark.table import Row, shown, with_block
from lightning_gpt.ladder import ModernGPT
from lightning_gpt.machine import busy_elsewhere, processor_seconds
from lightning_gpt.model import Sampling
from lightning_gpt.runs.result import Result, Validation

PAGE = "# Results\n\n<!-- bench -->\nold\n<!-- /bench -->\n\nThe end.\n"


def test_only_the_block_is_replaced(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    assert with_block(tmp_path / "page.md", "new\n") == PAGE.replace("old", "new")


@pytest.mark.parametrize("page", [None, "# Results\n", "<!-- bench -->\nno end\n"])
def test_a_document_without_the_block(tmp_path, page):
    if page is not None:
        (tmp_path / "page.md").write_text(page)
    with pytest.raises(UserError, match=r"can't read|has no lines <!-- bench -->"):
        with_block(tmp_path / "page.md", "new\n")


def test_medians_ranges_and_ratios():
    assert shown([3.0, 1.0, 2.0]) == "2 (1 to 3)" and shown([1.23456]) == "1.235" and shown([]) == ""
    assert str(Row("what", "s", [2.0], [1.0, 1.0])) == "| what | s | 2 | 1 (1 to 1) | 0.5 |"
    assert str(Row("what", "s", [], [1.0])) == "| what | s |  | 1 |  |"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (Row("what", "s", [1.0, 1.0], [1.0, 1.04, 1.11]), "a spread of 11%"),
        (Row("what", "s", [1.0, 1.2], [1.0]), "a spread of 18%"),
        (Row("what", "s", [1.0], [1.0], others=0.5), "other programs kept 0.5 cores busy"),
        (Row("what", "s", [], [], others=0.5), "other programs kept 0.5 cores busy"),
    ],
)
def test_what_a_busy_machine_measured_is_no_figure(row, why):
    assert row.doubt == f"no figure: {why}" and str(row).endswith(f"| no figure: {why} |")


def test_other_programs_are_told_from_this_one_and_its_children():
    before = processor_seconds()
    if before is None:
        assert busy_elsewhere(before) is None
        return
    clock, busy, own = before
    # as if in the last 100 s all had worked 170 s, of which 50 s were this process
    assert busy_elsewhere((clock - 100, busy - 170, own - 50)) == pytest.approx(1.2, abs=0.02)


def test_tokenizers_are_trained_for_the_time_that_is_given(tmp_path, monkeypatch):
    """A step's time is measured without the first ones, which may compile; the steps are as many as fill the time."""
    asked = []

    def ours(self, config, *options):
        given = dict(option.removeprefix("--").split("=") for option in options)
        steps, every = int(given["trainer.max_steps"]), int(given["trainer.val_check_interval"])
        asked.append((config, given["data.tokenizer"], steps))
        at = range(every, steps + 1, every)  # 30 s, and half a second a step
        validations = tuple(Validation(step, 2.0, 3.0, 2.5, 30 + step / 2) for step in at)
        return 0.0, SimpleNamespace(result=Result(False, steps, 1, None, validations, {}, ()))

    monkeypatch.setattr(Bench, "ours", ours)
    rows = Bench(tmp_path, tmp_path, tmp_path, 1, 60.0).tokens()
    assert asked[0] == ("cpu", "characters", 2 * TRIAL) and asked[1] == ("cpu", "characters", 120)
    assert [kind for _, kind, _ in asked[::2]] == ["characters", "bytes", "bpe", "bpe"]
    assert [row.ours for row in rows] == [[2.5]] * 4 and "120 steps in 90 s" in rows[0].what
    Bench(tmp_path, tmp_path, tmp_path, 1, 600.0).tokens()
    assert asked[-1] == ("cpu-10min", "bpe", 1200)


def test_a_budget_and_the_long_recipes_are_whole_processes(tmp_path, monkeypatch):
    done = []

    def timed(*args):
        done.append(args)
        folder = Path(next(arg for arg in args if arg.startswith("--runs_dir=")).partition("=")[2])
        name = next(arg for arg in args if arg.startswith("--name=")).partition("=")[2]
        made = folder / name / "version_0" / "checkpoints" / "last.ckpt"
        made.parent.mkdir(parents=True)
        made.touch()
        return 90.0 + len(done), ""

    monkeypatch.setattr("lightning_gpt.benchmark.measurements.timed", timed)
    validations = (Validation(9, 2.0, 3.0, 2.5, 30.0),)
    result = Result(False, 9, 1, None, validations, {}, ())
    monkeypatch.setattr(
        "lightning_gpt.benchmark.measurements.Run", lambda folder: SimpleNamespace(result=result, best="b.ckpt")
    )
    bench = Bench(tmp_path, Path("configs"), tmp_path, 1, 60.0)
    assert [(row.what, row.ours) for row in bench.budget()] == [
        ("fit --budget=2m, whole process", [91.0]),
        ("its exact val loss", [2.0]),
    ]
    assert [row.what for row in bench.long()][::2] == [
        "cpu-10min.yaml, whole process", "fit --budget=10m, whole process",
        "cpu-1h.yaml, whole process", "fit --budget=1h, whole process",
        "cpu-1h.yaml, 1,500 steps, then student.yaml, whole processes",
    ]  # fmt: skip
    assert "--model.teacher=b.ckpt" in done[-1]
    assert "--budget=2m" in done[0] and f"--config={Path('configs/cpu-1h.yaml')}" in done[3]


def test_the_speed_of_writing_is_of_all_texts_together():
    net = ModernGPT(11, 8, n_layer=1, n_head=1, n_embd=8).eval()
    assert written(net, 3, Sampling(5)) > 0


def test_on_a_gpu_both_sides_take_their_recipes_for_one(tmp_path, monkeypatch):
    asked = []

    def ours(self, recipe, *options):
        asked.append((recipe, [option for option in options if "accelerator" in option]))
        validations = (Validation(150, 2.0, 3.0, 2.5, 3.0), Validation(300, 1.4, 2.0, 2.0, 6.0))
        return 20.0, SimpleNamespace(result=Result(False, 300, 1, None, validations, {}, ()))

    def plain(self, *options):
        asked.append(options)
        return 80.0, {"step_seconds": 0.01, "val_loss": 1.46}

    monkeypatch.setattr(Bench, "ours", ours)
    monkeypatch.setattr(Bench, "plain", plain)
    step, seconds, loss = Bench(tmp_path, tmp_path, tmp_path, 1, 60.0).gpu()
    assert asked[0] == ("--gpu", "--loss=1.4697") and asked[1] == ("gpu-fast", [])
    assert "--gpu" in asked[2] and asked[3] == ("nanogpt-gpu", [])
    assert step.ours == [pytest.approx(10.0)] and seconds.ours == [20.0] and loss.ours == [1.4]
    Bench(tmp_path, tmp_path, tmp_path, 1, 60.0).step()
    assert asked[-1] == ("nanogpt-cpu", ["--trainer.accelerator=cpu"])
