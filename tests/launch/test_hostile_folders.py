"""A run folder that somebody sent is data: whatever its files say, nothing is imported, started or written by it.

Each folder is tried on every command that reads one. A command may refuse in a line or go on without what it was not
to take; it may not run what the folder names, nor write outside the current folder's runs and data.
"""

import json
import os
import shutil
import sys

import pytest
import torch
import yaml
from conftest import TEXT, Shell
from torch.utils.tensorboard import SummaryWriter

POPEN = {"class_path": "subprocess.Popen", "init_args": {"args": "touch pwned", "shell": True}}
PARAMETER_LIST = {"class_path": "torch.nn.ParameterList", "init_args": {"values": [POPEN]}}
PARAMETER_DICT = {"class_path": "torch.nn.ParameterDict", "init_args": {"parameters": POPEN}}


def callback(argument):
    return {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"on_train_start": argument}}


def trainer(**options):
    return lambda config: config["trainer"].update(options)


def data(**options):
    return lambda config: config["data"].update(options)


def top(**options):
    return lambda config: config.update(options)


def network(class_path, **init_args):
    return lambda config: config["model"].update(network={"class_path": class_path, "init_args": init_args})


def optimizer(class_path, **init_args):
    return lambda config: config["model"].update(optimizer={"class_path": class_path, "init_args": init_args})


HOSTILE = {
    "a callback of a list of programs": trainer(callbacks=[callback(PARAMETER_LIST)]),
    "a callback of a dictionary of programs": trainer(callbacks=[callback(PARAMETER_DICT)]),
    "a callback that is a program": trainer(callbacks=[POPEN]),
    "a callback from a file beside it": trainer(callbacks=[{"class_path": "evil.Evil"}]),
    "a profiler": trainer(profiler={"class_path": "PyTorchProfiler", "init_args": {"table_kwargs": POPEN}}),
    "a logger": trainer(logger={"class_path": "MLFlowLogger", "init_args": {"tags": POPEN}}),
    "a logger with a folder": trainer(logger={"class_path": "CSVLogger", "init_args": {"save_dir": "/tmp/outside"}}),
    "a plugin": trainer(plugins=[POPEN]),
    "a strategy": trainer(strategy={"class_path": "evil.Evil"}),
    "an accelerator": trainer(accelerator={"class_path": "evil.Evil"}),
    "a thousand devices": trainer(devices=1000, num_nodes=50, strategy="ddp"),
    "a network": network("evil.Evil"),
    "a network by a known name": network("evil.GPT", n_layer=POPEN),
    "an optimizer": optimizer("evil.Evil"),
    "an optimizer by a known name": optimizer("evil.AdamW", lr=POPEN, betas=[POPEN, 1]),
    "a schedule": lambda config: config["model"].update(schedule=POPEN),
    "a sample": top(sample=POPEN),
    "samples of another kind": top(sample={"prompts": [POPEN], "max_new_tokens": {"a": 1}, "temperature": "hot"}),
    "data elsewhere": data(data_dir="outside/data"),
    "runs elsewhere": top(runs_dir="outside/runs", name="../../outside"),
    "a file of the machine for a text": data(corpus="secret.txt"),
    "a folder of the machine for a text": data(corpus="."),
    "another stand-in": data(corpus="tinyshakespeare", offline_corpus="secret.txt"),
    "another checkpoint": top(ckpt_path="secret.txt", config="secret.txt", resume="auto"),
    "a base": top(base="secret.txt"),
    "unknown options": top(shell="touch pwned", trainer={"on_start": POPEN, "max_steps": 30}),
    "lists for sections": top(model=[POPEN], data=[POPEN], trainer=[POPEN]),
    "texts for sections": top(model="x", data="y", trainer="z"),
    "huge numbers": trainer(max_steps=10**30, val_check_interval=-5, accumulate_grad_batches=0),
    "escape sequences": top(**{"\x1b[2Jname": "\x1b]0;x\x07", "trainer": {"\x1b[31mred": 1}}),
}
FILES = {
    "empty": "",
    "null": "null",
    "a list": "[1, 2]",
    "a scalar": "3",
    "tabs": "data:\n\tcorpus: x",
    "a tag": "data: !!python/object/apply:os.system ['touch pwned']",
    "another tag": "!!python/object/new:subprocess.Popen [touch pwned]",
    "recursive": "a: &a [*a]",
    "a billion laughs": "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)),
    "deep": "[" * 5000 + "]" * 5000,
    "numbers for names": "1: 2",
    "of another project": "optimizer: {lr: 1}\nmodel:\n  - conv\n  - relu\n",
}
COMMANDS = [
    ["validate"], ["test"], ["predict"], ["report", "--out=report.html"], ["compare", "{}", "{}"],
    ["generate", "--novelty", "--max_new_tokens=3"],
    ["fit", "--trainer.max_steps=21", "--trainer.val_check_interval=1", "--sample.max_new_tokens=0"],
]  # fmt: skip
# one of each kind on every command; the others on validate alone, and in the slow tests on every command
EACH_KIND = [
    "a callback of a list of programs", "a callback of a dictionary of programs", "a callback from a file beside it",
    "a profiler", "a logger", "a network by a known name", "an optimizer by a known name", "data elsewhere",
    "runs elsewhere", "a file of the machine for a text", "lists for sections", "a tag", "a billion laughs", "empty",
]  # fmt: skip


@pytest.fixture(scope="module")
def sent(tmp_path_factory, trained):
    """A folder that was sent, beside secrets; made anew for each test by `sent(config)`."""

    def make(folder, config):
        folder.mkdir(exist_ok=True)
        (folder / "text.txt").write_text(TEXT)
        (folder / "secret.txt").write_text("password: hunter2\n" * 400)
        (folder / "evil.py").write_text("open('pwned', 'w')\nclass Evil: pass\nGPT = AdamW = Evil\n")
        run = folder / "sent" / "mail" / "version_0"
        shutil.copytree(trained.run, run)
        if isinstance(config, str):
            (run / "config.yaml").write_text(config)
        elif config is not None:
            whole = yaml.safe_load((run / "config.yaml").read_text())
            config(whole)
            (run / "config.yaml").write_text(yaml.safe_dump(whole))
        return Shell(folder), run

    return make


def tried(shell, run, command):
    """What a command does with the folder: nothing of its own is run, and nothing is written elsewhere."""
    before = set(shell.folder.iterdir())
    checkpoint = run / "checkpoints" / "last.ckpt"
    words = [word.format(checkpoint) for word in command]
    words += [] if "{}" in command else [f"--ckpt_path={checkpoint}"]
    try:
        done = shell(*words)
    except AssertionError as refused:
        _, _, err = str(refused).partition("\n")[2].partition("lightning-gpt: ")
        assert err and "Traceback" not in str(refused), refused
        assert err.strip().count("\n") <= 12 and "hunter2" not in str(refused), refused
        status = 2
    else:
        assert "hunter2" not in done.stdout + done.stderr and "\x1b" not in done.stdout + done.stderr
        status = done.returncode
    assert not list(shell.folder.rglob("pwned")) and "evil" not in sys.modules
    new = {path.name for path in shell.folder.iterdir()} - {path.name for path in before}
    assert new <= {"data", "runs", "report.html"}, new
    prepared = list((shell.folder / "data").rglob("*.json")) if (shell.folder / "data").exists() else []
    assert all("hunter" not in path.read_text() for path in prepared)
    return status


def runs_nothing(tmp_path, sent, monkeypatch, name, commands):
    monkeypatch.syspath_prepend(str(tmp_path / "here"))  # as python -m does with the current folder
    for command in commands:
        shell, run = sent(tmp_path / "here", HOSTILE.get(name, FILES.get(name)))
        tried(shell, run, command)
        shutil.rmtree(shell.folder / "sent")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if i % 15 == 0 else pytest.mark.slow) for i, name in enumerate(EACH_KIND)]
)
def test_nothing_of_it_is_run_by_any_command(tmp_path, sent, monkeypatch, name):
    runs_nothing(tmp_path, sent, monkeypatch, name, COMMANDS)


@pytest.mark.parametrize("name", sorted({*HOSTILE, *FILES} - {*EACH_KIND}))
def test_nothing_of_it_is_run(tmp_path, sent, monkeypatch, name):
    runs_nothing(tmp_path, sent, monkeypatch, name, COMMANDS[:1])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*HOSTILE, *FILES} - {*EACH_KIND}))
def test_nothing_of_it_is_run_by_any_other_command(tmp_path, sent, monkeypatch, name):
    runs_nothing(tmp_path, sent, monkeypatch, name, COMMANDS[1:])


def test_an_honest_folder_works_on_every_command(tmp_path, sent):
    for command in COMMANDS:
        shell, run = sent(tmp_path / "here", None)
        assert tried(shell, run, command) == 0, command
        shutil.rmtree(shell.folder / "sent")


def test_the_current_folder_is_in_pythons_path(tmp_path, sent, monkeypatch):
    """As `python -m lightning_gpt` has it: the first folder that was seen to run something."""
    shell, run = sent(tmp_path / "here", HOSTILE["a callback of a list of programs"])
    monkeypatch.syspath_prepend(shell.folder)
    shell("validate", f"--ckpt_path={run / 'checkpoints/last.ckpt'}")
    assert not list(shell.folder.rglob("pwned"))


def in_place_of(name, make):
    """Puts something that is no file where a file of the run belongs."""

    def change(run):
        (run / name).unlink(missing_ok=True)
        make(run / name)

    return change


def weights(of):
    """Changes every weight of both checkpoints."""

    def change(run):
        for path in run.glob("checkpoints/*.ckpt"):
            contents = torch.load(path, weights_only=True)
            contents["state_dict"] = {name: of(weight) for name, weight in contents["state_dict"].items()}
            torch.save(contents, path)

    return change


def logged(*values):
    """Replaces the run's curves."""

    def change(run):
        for path in run.glob("events*"):
            path.unlink()
        with SummaryWriter(run) as writer:
            for step, value in enumerate(values):
                writer.add_scalar("loss/val", value, step)

    return change


def configured(change):
    def write(run):
        whole = yaml.safe_load((run / "config.yaml").read_text())
        change(whole)
        (run / "config.yaml").write_text(yaml.safe_dump(whole))

    return write


def result(**entries):
    def write(run):
        whole = json.loads((run / "result.json").read_text())
        (run / "result.json").write_text(json.dumps(whole | entries))

    return write


NO_FILES = {  # a pipe would wait for ever, a device never ends
    "a pipe for a config": in_place_of("config.yaml", os.mkfifo),
    "a device for a config": in_place_of("config.yaml", lambda path: path.symlink_to("/dev/zero")),
    "a folder for a config": in_place_of("config.yaml", lambda path: path.mkdir()),
    "a pipe for a result": in_place_of("result.json", os.mkfifo),
    "a device for a result": in_place_of("result.json", lambda path: path.symlink_to("/dev/zero")),
    "a pipe for events": in_place_of("events.out.tfevents.9.x", os.mkfifo),
    "a device for events": in_place_of("events.out.tfevents.9.x", lambda path: path.symlink_to("/dev/zero")),
    "a folder for events": in_place_of("events.out.tfevents.9.x", lambda path: path.mkdir()),
    "a text of nobody": configured(data(corpus="~nouser/x")),
    "a text that never ends": configured(data(corpus="/dev/zero")),
    "escape sequences for a prompt": configured(top(sample={"prompts": ["Rough\x1b]0;x\x07"], "max_new_tokens": 0})),
    "escape sequences for an option": configured(trainer(gradient_clip_algorithm="\x1b]0;x\x07")),
    "a machine that is not here": configured(trainer(accelerator="tpu")),
    "a precision that is not here": configured(trainer(precision="transformer-engine")),
    "NaN for weights": weights(lambda weight: weight * float("nan")),
    "sparse weights": weights(torch.Tensor.to_sparse),
    "whole numbers for weights": weights(torch.Tensor.long),
    "NaN for a curve": logged(float("nan"), float("nan")),
    "an infinite curve": logged(float("inf"), 3.0),
    "an infinite number of parameters": result(parameters=float("inf")),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if i % 4 == 0 else pytest.mark.slow) for i, kind in enumerate(NO_FILES)]
)
def test_what_stands_in_a_files_place_is_refused_or_left_alone(tmp_path, sent, kind):
    for command in (["validate"], ["report", "--out=report.html"], ["generate", "--max_new_tokens=3"], COMMANDS[-1]):
        shell, run = sent(tmp_path / "here", None)
        NO_FILES[kind](run)
        tried(shell, run, command)
        shutil.rmtree(shell.folder / "sent")


def test_what_was_left_out_is_said(tmp_path, sent):
    shell, run = sent(tmp_path / "here", trainer(devices=2, strategy="ddp"))
    err = shell("fit", f"--ckpt_path={run / 'checkpoints/last.ckpt'}", "--trainer.max_steps=22").stderr
    assert "not taken from" in err and "trainer.strategy" in err and "trainer.devices" in err


def test_what_is_given_is_not_said_to_be_left_out(tmp_path, sent):
    shell, run = sent(tmp_path / "here", trainer(devices=2, strategy="ddp"))
    last = run / "checkpoints/last.ckpt"
    err = shell("fit", f"--ckpt_path={last}", "--trainer.max_steps=22", "--trainer.devices=1").stderr
    assert "not taken from" in err and "trainer.strategy" in err and "trainer.devices" not in err


@pytest.mark.parametrize(
    "contents", ["", "[]", "{}", '{"format": 1}', "nonsense", '{"format": 1e999}', "\x00" * 100, "[" * 9999]
)
def test_a_result_that_is_none(tmp_path, sent, contents):
    shell, run = sent(tmp_path / "here", None)
    (run / "result.json").write_text(contents)
    for command in (["report", "--out=report.html"], ["validate"]):
        tried(shell, run, command)


def test_html_and_escapes_in_a_card_stay_text(tmp_path, sent):
    shell, run = sent(tmp_path / "here", None)
    result = json.loads((run / "result.json").read_text())
    result["card"] = [["<script>alert(1)</script>", "\x1b[31m<img src=x onerror=alert(1)>"]]
    (run / "result.json").write_text(json.dumps(result))
    assert tried(shell, run, ["report", "--out=report.html"]) == 0
    page = (shell.folder / "report.html").read_text()
    assert "<img src=x" not in page and "<script>alert" not in page and "\x1b" not in page


def test_a_checkpoint_names_a_file_of_the_machine(tmp_path, sent):
    """The text that a record names is read only if it is the one that was trained on."""
    shell, run = sent(tmp_path / "here", None)
    for path in run.glob("checkpoints/*.ckpt"):
        contents = torch.load(path, weights_only=True)
        contents["lightning_gpt"]["corpus"]["source"] = "secret.txt"
        torch.save(contents, path)
    (run / "config.yaml").unlink()
    for command in COMMANDS:
        if command[0] != "generate" or "--novelty" in command:
            assert tried(shell, run, command) == 2, command
