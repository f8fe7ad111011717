"""bench: measures this project beside a plain PyTorch loop, in turns, as a table of medians and spreads."""

import io
import math
from dataclasses import replace
from pathlib import Path

import torch

from lightning_gpt import machine
from lightning_gpt.benchmark.measurements import MEASUREMENTS, Bench
from lightning_gpt.benchmark.table import HEAD, with_block
from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing


def description() -> str:
    """Describes the machine, its speed measured now."""
    cpu = torch.device("cpu")
    gflops = {dtype: machine.flops(cpu, dtype) / 1e9 for dtype in (torch.float32, torch.bfloat16)}
    return (
        f"{machine.describe()}; {gflops[torch.float32]:.0f} GFLOP/s in fp32, {gflops[torch.bfloat16]:.0f} in bf16, "
        f"{machine.bandwidth() / 1e9:.1f} GB/s of memory bandwidth"
    )


def bench(
    measure: str = "step,time,budget,generation,preparation",
    rounds: int = 3,
    seconds: float = 120.0,
    configs: str = "configs",
    runs_dir: str = "runs",
    data_dir: str = "data",
    document: str | None = None,
) -> None:
    """Measure this project beside a plain PyTorch loop, and write the table to <runs_dir>/bench/table.md.

    Args:
        measure: What: step, time, budget, generation, preparation, tokens, long, gpu; several with commas.
        rounds: How often each side is measured, in turns.
        seconds: How long each tokenizer is trained, for tokens; from 600 on by the recipe of ten minutes.
        configs: The folder of the recipes.
        runs_dir: The folder of all runs.
        data_dir: The folder that fetched and prepared texts are saved in.
        document: A Markdown file, as docs/results.md, whose block between <!-- bench --> and <!-- /bench --> the table
            replaces.
    """
    chosen = measure.split(",")
    for name in chosen:
        if name not in MEASUREMENTS:
            raise UserError(f"--measure takes {', '.join(MEASUREMENTS)}, not {name!r}")
    if rounds < 1:
        raise UserError(f"--rounds must be at least 1, not {rounds}")
    if not 1 <= seconds < math.inf:
        raise UserError(f"--seconds must be at least 1, not {seconds}")
    if document is not None:
        with_block(Path(document), "")  # complains before anything is measured
    folder = Path(runs_dir) / "bench"
    measurements = Bench(folder, Path(configs), Path(data_dir), rounds, seconds)
    text = io.StringIO()
    for part in (f"{description()}\n\n", HEAD):
        text.write(part)
        print(part, end="", flush=True)
    for name in chosen:
        before = machine.processor_seconds()
        rows = MEASUREMENTS[name](measurements)
        others = machine.busy_elsewhere(before)
        for row in (replace(row, others=others) for row in rows):
            text.write(f"{row}\n")
            print(row, flush=True)
    with replacing(folder / "table.md") as file:
        file.write(text.getvalue().encode())
    print(f"\nsaved in {folder / 'table.md'}")
    if document is not None:
        budget = f" --seconds {seconds:g}" if "tokens" in chosen else ""
        command = f'make bench ARGS="--measure {measure} --rounds {rounds}{budget} --document {document}"'
        page = with_block(Path(document), f"`{command}` on {text.getvalue()}")
        with replacing(document) as file:
            file.write(page.encode())
