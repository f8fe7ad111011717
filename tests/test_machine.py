"""What is asked of the machine, and what a run does without."""

import os
import platform
import subprocess
import sys

import pytest
import torch
from conftest import TINY

from lightning_gpt import machine
from lightning_gpt.cli import main


def test_it_is_described():
    text = str(machine.describe())
    assert torch.__version__.split("+")[0] in text and " cores of " in text and ("bf16" in text)


def test_measured_speeds_are_plausible():
    gflops = machine.flops(torch.device("cpu"), torch.float32, size=256) / 1e9
    assert 0.1 < gflops < 1e6
    assert 1e8 < machine.bandwidth(2**24) < 1e13


@pytest.mark.parametrize(
    ("gpu", "cuda", "bf16", "precision"),
    [
        (False, False, True, "bf16-mixed"),
        (False, False, False, "32-true"),
        (True, True, True, "bf16-mixed"),
        (True, True, False, "16-mixed"),
        (True, False, False, "32-true"),
    ],
)
def test_precision_is_the_machines(monkeypatch, gpu, cuda, bf16, precision):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(machine, "_bf16_is_faster", lambda: True)
    assert machine.best_precision("auto") == precision
    assert machine.best_precision("cpu") == ("bf16-mixed" if bf16 else "32-true")


@pytest.mark.parametrize("faster", [False, True])
def test_bf16_that_is_slower_is_not_taken(monkeypatch, faster):
    """As on an Intel processor that has AVX512-BF16 and whose AMX a virtual machine hides: 150 GFLOP/s, 250 in fp32."""
    speed = {torch.bfloat16: 250e9 if faster else 150e9, torch.float32: 200e9}
    monkeypatch.setattr(machine, "computes_bf16", lambda accelerator: True)
    monkeypatch.setattr(machine, "flops", lambda device, dtype, size: speed[dtype])
    monkeypatch.setattr(machine, "_bf16_is_faster", machine._bf16_is_faster.__wrapped__)
    assert machine.best_precision("cpu") == ("bf16-mixed" if faster else "32-true")


KEEPS = """
import sys, torch
from pathlib import Path
from lightning_gpt.machine import keep_freed_memory
pages = lambda: int(Path("/proc/self/statm").read_text().split()[1])
if sys.argv[1] == "kept":
    keep_freed_memory()
many = [torch.ones(2**20) for _ in range(100)]
full = pages()
del many
print((full - pages()) / full)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept():
    fixed = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}  # else glibc moves it by and by
    share = {
        way: float(subprocess.run([sys.executable, "-c", KEEPS, way], env=fixed, capture_output=True).stdout)
        for way in ("kept", "given back")
    }
    assert share["kept"] < 0.01 and share["given back"] > 0.3, share


def test_without_a_compiler_it_says_so_and_trains(shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not machine.has_compiler()
    assert main(["fit", "--data.corpus=text.txt", *TINY, "--model.compile=true"]) == 0
    assert "not compiled: there is no C++ compiler" in capsys.readouterr().out


def test_bf16_without_gain_is_said(shell, monkeypatch, capsys):
    monkeypatch.chdir(shell.folder)
    monkeypatch.setattr(machine, "gains_by_bf16", lambda accelerator="auto": False)
    assert main(["fit", "--data.corpus=text.txt", *TINY, "--trainer.precision=bf16-mixed"]) == 0
    assert "in bf16-mixed (32-true is faster here)" in capsys.readouterr().out


def test_compiled_training_is_training(shell, monkeypatch):
    """Same losses, to what reordered fp32 sums allow, with the same dropout; and plain checkpoint keys."""
    if not machine.has_compiler():
        pytest.skip("no C++ compiler")
    monkeypatch.chdir(shell.folder)
    recipe = ["fit", "--data.corpus=text.txt", *TINY, "--model.network=ModernGPT", "--model.network.dropout=0.2"]
    losses = {}
    for name in ("eager", "compiled"):
        assert main([*recipe, f"--name={name}", f"--model.compile={name == 'compiled'}"]) == 0
        contents = torch.load(f"runs/{name}/version_0/checkpoints/last.ckpt", weights_only=True)
        losses[name] = next(s["best_model_score"] for k, s in contents["callbacks"].items() if "ModelCheckpoint" in k)
        assert not any("_orig_mod" in key for key in contents["state_dict"])
    torch.testing.assert_close(losses["compiled"], losses["eager"], atol=1e-4, rtol=0)
