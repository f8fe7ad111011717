"""A small text, a way to type commands, and one run that several tests look at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
torch.set_num_threads(1)  # the networks here are tiny, and a busy machine makes threads wait for each other

TEXT = (
    "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date.\n\n"
) * 40

TINY = [
    "--model.network=GPT", "--model.network.n_layer=2", "--model.network.n_head=2", "--model.network.n_embd=16",
    "--data.block_size=16", "--data.batch_size=4", "--trainer.max_steps=20", "--trainer.val_check_interval=10",
    "--trainer.accelerator=cpu", "--trainer.precision=32-true", "--sample.max_new_tokens=20",
]  # fmt: skip


class Shell:
    """Types `lightning-gpt …` into a shell that stands in one folder."""

    def __init__(self, folder):
        self.folder = folder

    def environment(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LIGHTNING_GPT", "SLURM", "PL_"))}
        return {**kept, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **more}

    def start(self, *args, **more):
        return subprocess.Popen(
            [sys.executable, "-m", "lightning_gpt", *map(str, args)],
            cwd=self.folder,
            env=self.environment(**more),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *args, stdin="", status=0, **more):
        process = self.start(*args, **more)
        out, err = process.communicate(stdin, timeout=170)
        assert process.returncode == status, f"{args}\n{out}\n{err}"
        return subprocess.CompletedProcess(args, process.returncode, out, err)


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A shell whose folder holds one finished run of the tiny network; not to be written to."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT)
    shell = Shell(folder)
    shell.log = shell("fit", "--data.corpus=text.txt", *TINY)
    shell.run = folder / "runs" / "gpt" / "version_0"
    shell.best = shell.run / "checkpoints" / "best.ckpt"
    shell.last = shell.run / "checkpoints" / "last.ckpt"
    return shell
