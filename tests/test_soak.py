"""A long run does not grow: memory, file handles, events."""

import re
import time
from pathlib import Path

import pytest


@pytest.mark.slow
def test_twenty_thousand_steps(shell):
    options = [
        "--data.corpus=text.txt", "--model.network=Bigram", "--data.block_size=8", "--data.batch_size=32",
        "--trainer.max_steps=20000", "--trainer.val_check_interval=500", "--trainer.accelerator=cpu",
        "--trainer.precision=32-true", "--sample.max_new_tokens=50", "--save_every_n_steps=100",
        "--overfitting.patience=0",
    ]  # fmt: skip
    process = shell.start("fit", *options)
    proc = Path(f"/proc/{process.pid}")
    memory, handles = {}, {}
    for line in process.stdout:
        if line_of_step := re.match(r"step +([\d,]+) ", line):
            step = int(line_of_step.group(1).replace(",", ""))
            time.sleep(0.01)
            if process.poll() is None and step < 20000:
                memory[step] = int(re.search(r"VmRSS:\s+(\d+)", (proc / "status").read_text()).group(1))
                handles[step] = len(list((proc / "fd").iterdir()))
    process.communicate()
    assert process.returncode == 0
    print({step: memory[step] for step in (500, 2000, 5000, 10000, 19500)}, handles[2000], handles[19500])
    assert memory[19500] < 1.02 * memory[2000]
    assert handles[19500] <= handles[2000]
    (events,) = shell.folder.rglob("events*")
    assert events.stat().st_size < 3_000_000
