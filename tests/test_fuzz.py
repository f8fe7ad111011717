"""Damaged files: whatever a bit, a byte or a value has become, a command goes on or ends in a line. Never a traceback.

Each case is a pure function of its number: a file of a run, a way to damage it, and a command that reads it.
"""

import random
import shutil

import pytest
import torch
import yaml
from conftest import TEXT
from ending import Place, wrong_end

RUN = "runs/gpt/version_0"
LAST = f"{RUN}/checkpoints/last.ckpt"
ON = [
    "fit",
    f"--ckpt_path={LAST}",
    "--trainer.max_steps=21",
    "--trainer.val_check_interval=1",
    "--sample.max_new_tokens=0",
]
READERS = {  # of each kind of file: where it lies, and commands that read it
    "checkpoint": (LAST, [["validate"], ["generate", "--max_new_tokens=2"], ["report"], ["compare", "best"], ON]),
    "config": (f"{RUN}/config.yaml", [["validate"], ["report"], ON, ["fit", f"--config={RUN}/config.yaml"]]),
    "result": (f"{RUN}/result.json", [["report"], ON]),
    "events": (f"{RUN}/events*", [["report"]]),
    "ids": ("data/prepared/*.ids", [["validate"], ["data", "--corpus=text.txt"], ["report"]]),
    "card": ("data/prepared/*.characters.v*.json", [["validate"], ["data", "--corpus=text.txt"], ON]),
    "baselines": ("data/prepared/*.baselines.*", [["report"], ON]),
}


def flipped(data, dice):
    for _ in range(dice.choice([1, 1, 3, 20])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def cut(data, dice):
    del data[dice.randrange(len(data)) :]


def inserted(data, dice):
    place = dice.randrange(len(data))
    data[place:place] = dice.randbytes(dice.choice([1, 8, 1000]))


def zeroed(data, dice):
    place = dice.randrange(len(data))
    data[place : place + dice.choice([1, 16, 512])] = bytes(len(data[place : place + 16]))


def removed(data, dice):
    place = dice.randrange(len(data))
    del data[place : place + dice.choice([1, 7, 300])]


WAYS = [flipped, cut, inserted, zeroed, removed]
# what any value in a checkpoint may have become
ABSURD = [
    None, True, -1, 0, 10**20, 10**400, 0.5, float("nan"), float("inf"), "", "a\0b", "\udcff", "/etc/passwd",
    [], [[]], {}, {"a": {"b": 1}}, (1, 2), torch.zeros(0), torch.zeros(()), torch.full((2, 2), float("nan")),
    torch.zeros(3, 3).to_sparse(), torch.zeros(2, dtype=torch.complex64), torch.zeros(2, dtype=torch.int8),
    torch.zeros(1).expand(2000, 2000),
    torch.zeros(2, device="meta"), b"bytes",
]  # fmt: skip


def places(value, path=()):
    """All paths into nested dictionaries and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, child in inner:
        yield (*path, key)
        yield from places(child, (*path, key))


def changed(contents, dice, absurd=ABSURD):
    """A value replaced by an absurd one, or left out."""
    top = dice.choice(list(contents))  # else most would be weights
    path = dice.choice([(top,), *((top, *inner) for inner in places(contents[top]))])
    holder = contents
    for key in path[:-1]:
        holder = holder[key]
    if isinstance(holder, tuple):
        return None
    if dice.random() < 0.3:
        del holder[path[-1]]
    else:
        holder[path[-1]] = dice.choice(absurd)
    return path


def case(number, place):
    """Damages a file; returns what was done, and the command that reads it."""
    dice = random.Random(number)
    kind = dice.choice(["values", "options", *READERS])
    pattern, commands = READERS.get(kind, READERS["config" if kind == "options" else "checkpoint"])
    path = next(place.folder.glob(pattern))
    command = dice.choice(commands)
    if kind == "values":
        contents = torch.load(path, weights_only=True)
        done = changed(contents, dice)
        torch.save(contents, path)
        command = ON if dice.random() < 0.6 else command
    elif kind == "options":
        contents = yaml.safe_load(path.read_text())
        done = changed(
            contents, dice, [value for value in ABSURD if not isinstance(value, torch.Tensor | bytes | tuple)]
        )
        path.write_text(yaml.safe_dump(contents))
    else:
        data, way = bytearray(path.read_bytes()), dice.choice(WAYS)
        way(data, dice)
        path.write_bytes(data)
        done = way.__name__
    if command[0] in ("validate", "generate", "report"):
        command = [*command, f"--ckpt_path={LAST}"]
    if command[0] == "compare":
        command = [*command, LAST]
    return f"{number}: {kind} {done}, {command[0]}", command


@pytest.fixture(scope="module")
def place(tmp_path_factory, trained):
    shell = Place(tmp_path_factory.mktemp("fuzz"))
    (shell.folder / "text.txt").write_text(TEXT)
    for name in ("runs", "data"):
        shutil.copytree(trained.folder / name, shell.folder / name)
    shell.keep()
    return shell


def failures(place, numbers):
    found = []
    for number in numbers:
        done, command = case(number, place)
        if problem := wrong_end(place, command):
            found.append(f"{done}: {problem}")
        place.restore()
    return found


def test_some_damaged_files(place):
    assert not failures(place, range(15))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_many_damaged_files(place, part, capsys):
    numbers = range(1000 + 40 * part, 1040 + 40 * part)
    found = failures(place, numbers)
    with capsys.disabled():
        print(f"\n{len(numbers)} damaged files tried, {len(found)} failed", end="")
    assert not found
