"""A budget of time becomes plain numbers, which make the same run again."""

import dataclasses
import json
import math
import time

import pytest
import yaml
from conftest import OPEN, ROOT, TEXT, TINY, Stream
from lightning.pytorch import Callback
from test_choice import FAST

from lightning_gpt.budget import PLANS
from lightning_gpt.budget.plans import TRAINING
from lightning_gpt.commands import stages
from lightning_gpt.commands.verify_resume import same, saved_values
from lightning_gpt.errors import UserError
from lightning_gpt.launch import choice
from lightning_gpt.launch.choice import Chooser
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.pace import Pace, steps_within
from lightning_gpt.launch.recipe import read_recipe
from lightning_gpt.launch.within import within_budget


@pytest.fixture
def tried(monkeypatch):
    """Every network is as fast as FAST; lists what was tried out."""
    tried = []

    def try_out(args, *_):
        tried.append(args)
        return FAST

    monkeypatch.setattr(choice, "try_out", try_out)
    return tried


def options(args):
    return dict(arg.removeprefix("--").split("=", 1) for arg in args)


def test_a_budget_trains_as_the_recipes_do():
    recipe = read_recipe(ROOT / "configs/base/muon.yaml")
    optimizer = recipe["model"]["optimizer"]["init_args"]
    ours = {name.rpartition(".")[2]: value for name, value in TRAINING.items()}
    assert {name: ours[name] for name in optimizer} == optimizer
    assert {name: ours[name] for name in recipe["model"]["schedule"]} == recipe["model"]["schedule"]
    assert ours["gradient_clip_val"] == recipe["trainer"]["gradient_clip_val"]


def test_steps_and_validations_fill_the_time(tried, corpus):
    found = options(within_budget(["--budget=60s", f"--data.corpus={corpus}", *OPEN])[0])
    steps, every = int(found["trainer.max_steps"]), int(found["trainer.val_check_interval"])
    seconds = FAST.besides + steps * FAST.step + steps / every * (FAST.held_out + FAST.samples)
    assert steps % every == 0 and 50 < seconds <= 60
    assert found["budget"] == "60s" and found["name"] and len(tried) == 1


def test_a_new_budget_knows_nothing_of_an_earlier_ones_change(tried, corpus):
    before = ["--model.schedule.changes=[[60, 100]]"]
    (args, _) = within_budget(["--budget=60s", f"--data.corpus={corpus}", *OPEN, *before])
    schedule = configure("fit", args).config.model.schedule
    assert list(schedule.changes) == []


def test_a_network_that_is_named_stays_and_else_one_is_chosen(tried, corpus):
    named = options(within_budget(["--budget=60s", f"--data.corpus={corpus}", *OPEN])[0])
    assert named["model.network"] in " ".join(OPEN) and "model.optimizer" not in named
    chosen = options(within_budget(["--budget=60s", f"--data.corpus={corpus}", "--model.network.dropout=0.3"])[0])
    assert chosen["model.network.dropout"] == "0.3" and chosen["model.optimizer"] == "Muon"
    assert (chosen["name"], chosen["trainer.devices"]) == ("budget-60s", "1")


def test_blocks_of_a_length_that_is_given_are_counted(tried, corpus):
    chosen = options(within_budget(["--budget=60s", f"--data.corpus={corpus}", "--data.block_size=256"])[0])
    assert chosen["data.block_size"] == "256"
    chooser = Chooser([f"--data.corpus={corpus}", "--data.block_size=256"], named=False)
    assert [plan.tokens_per_step for plan in chooser.plans()] == [plan.tokens_per_step for plan in PLANS]


@pytest.mark.parametrize("given", ["data.batch_size=2", "model.network.n_layer=2", "trainer.accumulate_grad_batches=2"])
def test_sizes_are_chosen_unless_the_network_is_named(tried, corpus, given):
    with pytest.raises(UserError, match=f"chooses --{given.partition('=')[0]}: leave it out, or name a network"):
        within_budget(["--budget=60s", f"--data.corpus={corpus}", f"--{given}"])
    within_budget(["--budget=60s", f"--data.corpus={corpus}", *OPEN, f"--{given}"])


def test_lines_with_answers_need_a_network_of_their_own():
    with pytest.raises(UserError, match="chooses for running text"):
        within_budget(["--budget=60s", "--data.corpus=addition", "--data.answer_after=="])


def test_a_recipe_on_top_of_another_may_have_a_budget(tried, corpus, tmp_path):
    (tmp_path / "base.yaml").write_text("model: {network: {class_path: Bigram}}\ntrainer: {max_steps: 5}\n")
    (tmp_path / "own.yaml").write_text("base: base.yaml\nbudget: 60s\n")
    args, callbacks = within_budget([f"--data.corpus={corpus}", "--config=own.yaml"])
    assert int(args[-3].partition("=")[2]) > 5 and callbacks
    (tmp_path / "saved.yaml").write_text("base: base.yaml\nbudget: 60s\ntrainer: {max_steps: 7}\n")
    assert within_budget([f"--data.corpus={corpus}", "--config=saved.yaml"])[1] == []


def test_a_printed_configuration_is_the_chosen_one(tried, shell, monkeypatch):
    monkeypatch.setattr(stages, "process_age", lambda: 3.0)
    printed = yaml.safe_load(shell("fit", "--budget=60s", "--data.corpus=text.txt", "--print_config").stdout)
    assert printed["budget"] == "60s" and printed["data"]["block_size"] > choice.SHORTEST
    assert printed["trainer"]["max_steps"] > choice.FEWEST_STEPS


def test_a_part_of_the_held_out_text_is_called_one(shell):
    (shell.folder / "long.txt").write_text(TEXT * 15)
    for limit, said in {"1": "on long.txt, the first 1 of its 2 held-out batches\n", "null": "on long.txt\n"}.items():
        options = ["--data.corpus=long.txt", *TINY, f"--trainer.limit_val_batches={limit}", "--trainer.max_steps=10"]
        assert said in shell("fit", *options).stdout


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        (["--trainer.max_steps=5"], "leave one of them out"),
        (["--ckpt_path=last"], "leave --ckpt_path out"),
        (["--trainer.devices=2"], "leave --trainer.devices out"),
        (["--budget=2 minutes"], "as 90s, 2m or 1h30m"),
        (["--budget=1s"], "from 15s to 24h"),
        (["--data.corpsu=x"], "did you mean"),
    ],
)
def test_what_a_budget_can_t_be_kept_with_is_refused(shell, given, remedy):
    assert remedy in " ".join(shell("fit", "--budget=20s", *given, status=2).stderr.split())


def losses(run):
    return [v["nats_per_token"] for v in json.loads((run / "result.json").read_text())["validations"]]


@pytest.mark.parametrize(
    ("schedule", "left", "steps", "changes"),
    [("linear", -1.0, 11, [[10, 14]]), ("cosine", 3600.0, 20, [[10, 14]])],
)
def test_a_run_is_fitted_once_more_on_its_way_and_its_config_makes_it_again(
    shell, monkeypatch, schedule, left, steps, changes
):
    monkeypatch.setattr(stages, "process_age", lambda: 3.0)
    monkeypatch.setattr(choice, "try_out", lambda *_: dataclasses.replace(FAST, step=1.0))
    # of any number of steps that time would allow, on whatever machine, at most 20 are taken
    monkeypatch.setattr(choice, "Pace", lambda _, *given: Pace(time.perf_counter() + left, given[0], most=20))
    rates = [f"--model.schedule.decay={schedule}", "--model.schedule.decay_fraction=0.5"]
    given = [*OPEN, *rates, "--data.corpus=text.txt", "--trainer.log_every_n_steps=1"]
    shell("fit", "--budget=20s", "--name=first", *given)
    first = shell.folder / "runs/first/version_0"
    saved = yaml.safe_load((first / "config.yaml").read_text())
    assert saved["trainer"]["max_steps"] == steps and saved["trainer"]["val_check_interval"] == 7
    result = json.loads((first / "result.json").read_text())
    assert result["max_steps"] == steps == result["validations"][-1]["step"]
    assert saved["model"]["schedule"]["changes"] == changes

    shell("fit", f"--config={first / 'config.yaml'}", "--name=second")
    assert losses(shell.folder / "runs/second/version_0") == losses(first)
    shell("fit", "--init_from", first / "checkpoints/last.ckpt", "--data.corpus=text.txt", "--name=next")
    following = yaml.safe_load((shell.folder / "runs/next/version_0/config.yaml").read_text())["model"]["schedule"]
    assert following["changes"] == []
    whole, again = (dict(saved_values(shell.folder / "runs" / name)) for name in ("first", "second"))
    assert whole.keys() == again.keys() and not [name for name in whole if not same(whole[name], again[name])]


def test_the_config_of_a_run_makes_it_again_and_an_interrupted_one_goes_on(shell, monkeypatch):
    monkeypatch.setattr(stages, "process_age", lambda: 3.0)
    monkeypatch.setattr(choice, "Pace", lambda *_: Callback())
    monkeypatch.setattr(choice, "try_out", lambda *_: dataclasses.replace(FAST, step=1.0))
    args = ["--data.corpus=text.txt", *OPEN]
    shell("fit", "--budget=20s", "--name=first", *args)
    first = shell.folder / "runs/first/version_0"
    saved = yaml.safe_load((first / "config.yaml").read_text())
    assert saved["budget"] == "20s" and 0 < saved["trainer"]["max_steps"] < 20

    monkeypatch.setattr(choice, "try_out", lambda *_: pytest.fail("measured again"))
    shell("fit", f"--config={first / 'config.yaml'}", "--name=second")
    assert losses(shell.folder / "runs/second/version_0") == losses(first)

    result = json.loads((first / "result.json").read_text())
    (first / "result.json").write_text(json.dumps(result | {"finished": False}))
    assert "goes on with" in shell("fit", "--budget=20s", "--name=first", "--resume=auto", *args).stdout


@pytest.fixture
def interrupted(shell, monkeypatch):
    """A shell with the run of a budget that did not come to its end, whose steps were counted anew."""
    monkeypatch.setattr(stages, "process_age", lambda: 3.0)
    monkeypatch.setattr(choice, "try_out", lambda *_: dataclasses.replace(FAST, step=1.0))
    monkeypatch.setattr(choice, "Pace", lambda *_: Pace(time.perf_counter() - 1.0, 0.0))
    shell("fit", "--budget=20s", "--data.corpus=text.txt", *OPEN)
    first = shell.folder / "runs/budget-20s/version_0"
    assert yaml.safe_load((first / "config.yaml").read_text())["model"]["schedule"]["changes"]
    result = json.loads((first / "result.json").read_text())
    (first / "result.json").write_text(json.dumps(result | {"finished": False}))
    return shell


@pytest.mark.parametrize(("answer", "measured", "versions"), [("y", 0, 1), ("n", 1, 2)])
def test_ask_asks_once_and_a_new_run_is_measured_anew(interrupted, monkeypatch, answer, measured, versions):
    asked, tried = [], []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    monkeypatch.setattr(choice, "try_out", lambda *_: tried.append(1) or dataclasses.replace(FAST, step=1.0))
    monkeypatch.setattr(choice, "Pace", lambda *_: Callback())
    monkeypatch.setattr(Stream, "isatty", lambda _: True)
    interrupted("fit", "--budget=20s", "--data.corpus=text.txt", "--resume=ask", *OPEN)
    runs = interrupted.folder / "runs/budget-20s"
    newest = yaml.safe_load((runs / f"version_{versions - 1}/config.yaml").read_text())
    assert (len(asked), len(tried), len(list(runs.iterdir()))) == (1, measured, versions)
    assert bool(newest["model"]["schedule"]["changes"]) is (answer == "y")


def test_ask_knows_nothing_of_an_interrupted_run_on_another_text(interrupted, monkeypatch):
    tried = []
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    monkeypatch.setattr(Stream, "isatty", lambda _: True)
    monkeypatch.setattr(choice, "try_out", lambda *_: tried.append(1) or dataclasses.replace(FAST, step=1.0))
    (interrupted.folder / "other.txt").write_text(TEXT[::-1])
    interrupted("fit", "--budget=20s", "--data.corpus=other.txt", "--resume=ask", *OPEN)
    assert len(tried) == 1 and (interrupted.folder / "runs/budget-20s/version_1").exists()


@pytest.mark.parametrize("every", [1, 7, 50])
@pytest.mark.parametrize("done", [0, 7, 30, 50])
@pytest.mark.parametrize("left", [-5.0, 0.5, 3.0, 10.0, 100.0])
def test_the_steps_within_a_time_are_the_most_that_end_in_it(every, done, left):
    step, validation = 0.125, 2.0

    def seconds(more):
        """Of so many more steps, validations included."""
        inner = (done + more) // every - done // every
        return more * step + (inner + bool((done + more) % every)) * validation

    found = steps_within(left, step, validation, every, done)
    assert found == max((more for more in range(2000) if seconds(more) <= left + 1e-9), default=0)


def test_a_run_is_counted_twice(shell, monkeypatch):
    """A machine that becomes three times as fast after the first count, and then three times as slow as at first."""
    monkeypatch.setattr(stages, "process_age", lambda: 3.0)
    monkeypatch.setattr(choice, "try_out", lambda *_: dataclasses.replace(FAST, step=0.3))
    counted = iter([50, 3])
    monkeypatch.setattr("lightning_gpt.launch.pace.steps_within", lambda *_: next(counted))
    shell("fit", "--budget=20s", "--name=first", *OPEN, "--data.corpus=text.txt")
    first = shell.folder / "runs/first/version_0"
    saved = yaml.safe_load((first / "config.yaml").read_text())
    (at, planned), (later, then) = saved["model"]["schedule"]["changes"]
    assert then == at + 50 and later == math.ceil(0.9 * then) and at == math.ceil(2 / 3 * planned)
    assert saved["trainer"]["max_steps"] == later + math.ceil(0.05 * later)
    shell("fit", f"--config={first / 'config.yaml'}", "--name=second")
    assert losses(shell.folder / "runs/second/version_0") == losses(first)
