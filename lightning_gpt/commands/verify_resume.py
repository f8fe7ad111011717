"""verify-resume: kills a run again and again and shows that it ends as the same run does when it is left alone."""

import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lightning_gpt.errors import UserError
from lightning_gpt.model import checkpoint
from lightning_gpt.runs import Run, newest_last, read_events
from lightning_gpt.training.progress import CARD

COMPARED = ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers", "lightning_gpt")


def verify_resume(steps: int = 200, kills: int = 5, seed: int = 1337, fit_options: Sequence[str] = ()) -> None:
    """Run some steps, run them again with kills (SIGKILL to the whole process group), compare all that is saved.

    Every second kill waits until a checkpoint is being written, the others come at random instants.

    Args:
        steps: How far to run.
        kills: How often to kill.
        seed: Of the instants at which it is killed.
        fit_options: Any other option is given to fit, such as --config configs/cpu.yaml.

    Raises:
        UserError: a run fails by itself.
        SystemExit: 1, the two differ.
    """
    if steps < 1 or kills < 1:
        raise UserError("--steps and --kills must be at least 1")
    with tempfile.TemporaryDirectory(prefix="verify-resume-") as folder:
        fit = [
            sys.executable, "-m", "lightning_gpt", "fit", *fit_options, f"--runs_dir={folder}",
            f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={max(1, steps // 4)}",
            f"--save_every_n_steps={max(1, steps // 40)}",
            "--resume=auto",
        ]  # fmt: skip
        unbroken, killed = Path(folder) / "unbroken", Path(folder) / "killed"
        print(f"{steps} steps, left alone …", flush=True)
        start = time.monotonic()
        with started([*fit, "--name=unbroken"]) as process:
            finish(process)
        seconds = time.monotonic() - start
        print(f"  {seconds:.1f} s\n{steps} steps, with {kills} kills …", flush=True)
        dice = random.Random(seed)
        for number in range(1, kills + 1):
            in_writing = number % 2 == 1
            left = set(killed.rglob("*"))  # by the runs that were killed before
            with started([*fit, "--name=killed"]) as process:
                # from then on there is something to lose
                begun = wait_until(process, partial(added, killed, "*/events*", left), 300)
                if begun:
                    wait_until(process, lambda: False, dice.uniform(0, 2 * seconds / kills))
                if begun and in_writing:
                    wait_until(process, partial(added, killed, "*/checkpoints/.*.part", left), 30, every=0.0005)
                if process.poll() is not None:
                    finish(process)
                    print(f"  the run was over before kill {number}: give more --steps")
                    break
            last = newest_last(killed)
            saved = checkpoint.read(last)["global_step"] if last else 0  # a kill never leaves a file that can't be read
            print(f"  kill {number}{' in the middle of writing' * in_writing}: step {saved} was saved", flush=True)
        with started([*fit, "--name=killed"]) as process:
            finish(process)
        compare(unbroken, killed)


@contextmanager
def started(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Runs a command, its output captured, in a process group of its own, which is killed whole at the block's end."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def finish(process: "subprocess.Popen[str]") -> None:
    """Waits for a run's own end.

    Raises:
        UserError: it failed.
    """
    out, _ = process.communicate()
    if process.returncode:
        reason = (out.strip() or "no reason given").splitlines()[-1]
        raise UserError(f"verify-resume: the run failed: {reason.removeprefix('lightning-gpt: ')}")


def added(home: Path, pattern: str, left: Set[Path]) -> bool:
    """Returns whether a run has such a file now that was not left by those before it."""
    return any({*home.glob(pattern)} - left)


def wait_until(process: "subprocess.Popen[str]", condition: Any, seconds: float, every: float = 0.01) -> bool:
    """Waits for a condition, tested `every` so many seconds; returns whether it came true while the process ran."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if condition():
            return True
        time.sleep(every)
    return False


def compare(unbroken: Path, killed: Path) -> None:
    """Compares every tensor and number of the two last checkpoints, and every curve and text of the two runs.

    Raises:
        SystemExit: 1, something differs.
    """
    mine, theirs = (dict(saved_values(home)) for home in (unbroken, killed))
    differ = [name for name in {**mine, **theirs} if not same(mine.get(name), theirs.get(name))]
    tensors = sum(isinstance(value, torch.Tensor) for value in mine.values())
    if differ:
        print(f"DIFFERENT in {len(differ)} of {len(mine)} values: {', '.join(sorted(differ)[:5])}")
        raise SystemExit(1)
    print(f"the same, bit for bit: {tensors} tensors, {len(mine) - tensors} numbers, curves and sample texts")


def saved_values(home: Path) -> Iterator[tuple[str, Any]]:
    """Yields all that a run has saved and that must not depend on its interruptions, by name."""
    last = newest_last(home)
    assert last is not None
    contents = checkpoint.read(last)
    yield from leaves({name: contents[name] for name in COMPARED})
    folder = last.parent.parent
    yield from leaves([{**asdict(v), "seconds": None} for v in Run(folder).result.validations], "result")
    for tag, curve in read_events(folder).items():
        if not tag.startswith("speed/") and tag != f"{CARD}/text_summary":  # the run's card says where it began
            yield tag, curve


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the leaves of nested dictionaries and lists, by name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{name}.{i}")
    else:
        yield name, value


def same(a: Any, b: Any) -> bool:
    """Compares to the last bit; a NaN equals a NaN."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and bool(a == b)
