"""The machine as it is described and measured, and what a run does without a compiler or fast bf16."""

import os
import platform
import re
import subprocess
import sys

import pytest
import torch
from conftest import TINY

from lightning_gpt import machine
from lightning_gpt.cli import main


@pytest.mark.parametrize(("bf16", "says"), [(True, "bf16"), (False, "no bf16")])
def test_it_is_described(monkeypatch, bf16, says):
    monkeypatch.setattr(machine, "computes_bf16", lambda: bf16)
    cores, *parts = str(machine.describe()).split(", ")
    assert cores.startswith(f"{len(os.sched_getaffinity(0))} cores of ")
    assert parts[-3:] == [says, f"Python {platform.python_version()}", f"torch {torch.__version__.split('+')[0]}"]
    assert re.fullmatch(r"[1-9]\d* GB", parts[-4])


def test_speeds_are_work_by_time(monkeypatch):
    """Of a product the best of the times counts, of a copy the median."""
    cpu, clock, worked = torch.device("cpu"), [0.0], []
    takes = iter([9.0, 4.0, 2.0, 3.0, 8.0, 5.0])  # the first is not timed

    def measured(work):
        worked.append(work())
        clock[0] += next(takes)

    seconds = machine._seconds
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(machine, "_seconds", lambda work, device: seconds(lambda: measured(work), device))
    assert machine.flops(cpu, torch.bfloat16, size=10) == 2 * 10**3 / 2.0
    assert [(product.shape, product.dtype) for product in worked] == [((10, 10), torch.bfloat16)] * 6
    takes = iter([9.0, 4.0, 2.0, 3.0, 8.0, 5.0])
    assert machine.bandwidth(1000) == 2 * 1000 / 4.0
    assert worked[-1].sum() == 1000


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


PAGES = """
import resource, torch
from lightning_gpt.machine import keep_freed_memory

def fresh():  # pages that a step is given which needs no more than the step before it has freed
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(2**20) for _ in range(20)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(min(fresh() for _ in range(8)))
keep_freed_memory()
print(min(fresh() for _ in range(8)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_reused():
    fixed = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}  # else glibc moves it by and by
    out = subprocess.run([sys.executable, "-c", PAGES], env=fixed, capture_output=True, text=True, check=True).stdout
    given_back, kept = map(int, out.split())
    assert 10 * kept < given_back


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


@pytest.mark.slow
def test_compiled_training_is_training(shell, monkeypatch):
    """Same losses, to what reordered fp32 sums allow, with the same dropout; and plain checkpoint keys."""
    if not machine.has_compiler():
        pytest.skip("no C++ compiler")
    monkeypatch.chdir(shell.folder)
    recipe = ["fit", "--data.corpus=text.txt", *TINY, "--model.network=ModernGPT", "--model.network.dropout=0.2"]
    recipe += ["--model.network.n_layer=1"]
    losses = {}
    for name in ("eager", "compiled"):
        assert main([*recipe, f"--name={name}", f"--model.compile={name == 'compiled'}"]) == 0
        contents = torch.load(f"runs/{name}/version_0/checkpoints/last.ckpt", weights_only=True)
        losses[name] = next(s["best_model_score"] for k, s in contents["callbacks"].items() if "ModelCheckpoint" in k)
        assert not any("_orig_mod" in key for key in contents["state_dict"])
    torch.testing.assert_close(losses["compiled"], losses["eager"], atol=1e-4, rtol=0)
