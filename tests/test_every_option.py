"""Every option of every command, with what it can't mean: a line and status 2, or it is taken. Never a traceback.

Options are found by their signatures, so a new one is tested without a new test. Each is given each kind of value
below; what a command takes all the same must work, or end in a line.
"""

import inspect
import os
import shutil
from importlib import import_module
from unittest import mock

import pytest
from conftest import TEXT, TINY
from ending import Place, wrong_end

from lightning_gpt.arguments.call import REST
from lightning_gpt.benchmark import measurements
from lightning_gpt.cli import COMMANDS, with_lightning
from lightning_gpt.commands import bench, verify_resume, watch
from lightning_gpt.errors import UserError
from lightning_gpt.launch.options import CHOICES, choice_options, known_options

KINDS = {
    "a word": "abacus",
    "negative": "-1",
    "zero": "0",
    "a fraction": "0.5",
    "10^20": str(10**20),
    "2^63": str(2**63),
    "1e20": "1e20",
    "NaN": ".nan",
    "infinity": ".inf",
    "empty": "",
    "null": "null",
    "half a character": os.fsdecode(b"\xff"),
    "a folder": "folder",
    "a file": "file",
    "a NUL byte": "a\0b",
    "a long word": "x" * 300,
    "nobody's home": "~nouser/x",
    "a list": "[1, [2]]",
    "a mapping": "{a: 1}",
}
ONE_STEP = [*TINY, "--trainer.max_steps=1", "--trainer.val_check_interval=1", "--sample.max_new_tokens=2"]
LAST = "--ckpt_path=runs/gpt/version_0/checkpoints/last.ckpt"
# what a command is given beside the option, so that a step or a character is all that it does
BESIDE = {
    "fit": ["--data.corpus=text.txt", *ONE_STEP],
    "validate": [LAST],
    "test": [LAST],
    "predict": [LAST],
    "generate": ["--max_new_tokens=2"],
    "data": ["--corpus=text.txt"],
    "ladder": ["--rungs=1", "--configs=recipes", *ONE_STEP[4:]],
    "verify-resume": ["--data.corpus=text.txt", *ONE_STEP],
    "report": [],
    "doctor": ["--data.corpus=text.txt", *ONE_STEP],
    "compare": ["best", "last"],
    "bench": ["--rounds=1"],
    "page": ["--out=page.html"],
    "watch": ["--port=0"],
    "export": ["out", "--to=nanogpt"],
    "import": ["out", "--to=runs/back"],
}


def options_of(command):
    """Names of a command's options, as they are typed."""
    if COMMANDS[command].calls is with_lightning:
        inner = [
            f"{choice}.{name}" for choice, of in CHOICES.items() for one in of for name in choice_options(choice, one)
        ]
        return list(dict.fromkeys([*known_options(), *inner]))
    module, _, function = COMMANDS[command].function.partition(":")
    function = getattr(import_module(f"lightning_gpt.commands.{module}"), function)
    return [name for name in inspect.signature(function).parameters if name != REST]


def network_of(option):
    """Words that choose a network or an optimizer which has this option."""
    choice, _, name = option.rpartition(".")
    having = [one for one in CHOICES.get(choice, ()) if name in choice_options(choice, one)]
    return [f"--{choice}={having[-1]}"] if having and option.startswith("model.optimizer") else []


def command_line(command, option, value):
    words = list(BESIDE[command])
    if command == "compare" and option in "ab":
        words["ab".index(option)] = value
    else:
        words += [*network_of(option), f"--{option}={value}"]
    return [command, *words]


ALL = [(command, option, kind) for command in COMMANDS for option in options_of(command) for kind in KINDS]
STRIDE = dict.fromkeys(BESIDE, 47) | dict.fromkeys(("fit", "validate", "test", "predict"), 211)  # primes


@pytest.fixture(scope="module")
def place(tmp_path_factory, trained):
    shell = Place(tmp_path_factory.mktemp("place"))
    folder = shell.folder
    (folder / "text.txt").write_text(TEXT)
    (folder / "file").write_bytes(bytes(range(256)))
    (folder / "folder").mkdir()
    (folder / "recipes").mkdir()
    (folder / "recipes" / "1-bigram.yaml").write_text("model: {network: Bigram}\ndata: {corpus: text.txt}\n")
    shutil.copytree(trained.run, folder / "runs" / "gpt" / "version_0")
    shell.keep()
    return shell


def no_process(*_, **__):
    """Stands for a process of its own, which would take the time that was asked for."""
    raise UserError("a process begins")


def failures(place, cases):
    found = []
    with (
        mock.patch.object(verify_resume.subprocess, "Popen", no_process),
        mock.patch.object(measurements, "timed", no_process),
        mock.patch.object(bench, "description", lambda: ""),
        mock.patch.object(watch, "serve", lambda server: None),  # which goes on for ever
    ):
        for command, option, kind in cases:
            if problem := wrong_end(place, command_line(command, option, KINDS[kind])):
                found.append(f"{command} --{option} {kind}: {problem}")
            place.restore()
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_some(place, command):
    """A part of the whole that changes with nothing but the table: each kind of value, each command."""
    cases = [case for i, case in enumerate(ALL) if case[0] == command and i % STRIDE[command] == 0]
    assert not failures(place, cases)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_all(place, command, kind, capsys):
    cases = [case for case in ALL if case[0] == command and case[2] == kind]
    found = failures(place, cases)
    with capsys.disabled():
        print(f"\n{command}, {kind}: {len(cases)} tried, {len(found)} failed", end="")
    assert not found


def test_every_command_has_options_to_try():
    assert {command for command, _, _ in ALL} == COMMANDS.keys() == BESIDE.keys()
    assert len(ALL) > 2000
