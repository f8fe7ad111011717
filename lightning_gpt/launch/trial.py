"""A trial: a run in small, all of it, in a folder that is thrown away. For what a step, a validation and the rest take.

Nothing is assumed of the machine, and nothing of what a run does besides its steps.
"""

import contextlib
import io
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt import machine
from lightning_gpt.errors import Interrupted
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.running import run
from lightning_gpt.training import LastCheckpoint

A_FIT_OF_ITS_OWN = ("--resume=never", "--ckpt_path=null")  # whatever the recipe says
FIRST = 2  # steps that are slower than those that follow
BATCHES = 3  # held-out batches
ANSWER = "stopping after this step of a trial, of which nothing is kept; again to stop at once"


class Stopwatch(Callback):
    """Measures the seconds of each step, of each held-out batch, and from the last of these to the end of training.

    Args:
        longest: seconds of all steps after which training ends.
    """

    def __init__(self, longest: float = math.inf) -> None:
        self.longest = longest
        self.steps: list[float] = []  # the first is from the run's start on
        self.held_out: list[float] = []
        self.samples = 0.0
        self.ended = 0.0
        self._since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Ends a step, the drawing of its batch included."""
        self.steps.append(self._lap(pl_module))
        done, rest = divmod(len(self.steps), trainer.accumulate_grad_batches)
        if done > FIRST and not rest and sum(self.steps) > self.longest:
            trainer.should_stop = True  # after a validation

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock for held-out batches."""
        self._lap(pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Ends a held-out batch."""
        self.held_out.append(self._lap(pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends what follows a validation: samples, a checkpoint."""
        self.samples = self._lap(pl_module)
        self.ended = time.perf_counter()

    def _lap(self, module: LightningModule) -> float:
        if module.device.type != "cpu":
            torch.accelerator.synchronize(module.device)
        now = time.perf_counter()
        lap, self._since = now - self._since, now
        return lap


@dataclass(frozen=True)
class Trial:
    """What was measured, in seconds and bytes.

    Attributes:
        step: of the optimizer, its batches included.
        held_out: of all held-out batches.
        batches: how many these are.
        samples: of what follows them: samples, a checkpoint.
        besides: of the run's start and end.
        ending: of its end alone.
        peak_memory: of the process, or of the GPU.
    """

    step: float
    held_out: float
    batches: int
    samples: float
    besides: float
    ending: float
    peak_memory: int


def try_out(fit_options: Sequence[str], steps: int = 12, longest: float = math.inf) -> Trial:
    """Runs a fit in small and measures it; what it prints is lost.

    Args:
        fit_options: as typed.
        steps: of the optimizer, at most.
        longest: seconds after which no more of them are begun, but for the first three.

    Raises:
        UserError: all that is wrong with the options, the text or the machine.
        KeyboardInterrupt: it was interrupted.
    """
    began, watch = time.perf_counter(), Stopwatch(longest)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        whole = configure("fit", [*fit_options, *A_FIT_OF_ITS_OWN]).config.trainer
        accumulate, limit = whole.accumulate_grad_batches, whole.limit_val_batches
        small = [
            f"--runs_dir={folder}", "--name=trial", "--budget=null", f"--trainer.max_steps={steps}",
            f"--trainer.val_check_interval={steps * accumulate}", f"--trainer.limit_val_batches={BATCHES}",
            "--model.schedule.warmup_steps=0", "--trainer.logger=null", "--trainer.callbacks=null",
            "--trainer.enable_progress_bar=false", *A_FIT_OF_ITS_OWN,
        ]  # fmt: skip
        prepared = prepare(configure("fit", [*fit_options, *small]), [watch])
        _, _, trainer = prepared.made()
        for saver in trainer.checkpoint_callbacks:
            if isinstance(saver, LastCheckpoint):
                saver.answer = ANSWER
        try:
            run(prepared)
        except Interrupted as stop:
            raise KeyboardInterrupt from stop
    ended = time.perf_counter()
    torch.compiler.reset()  # the run itself compiles as if it were the first
    measured = sum(watch.steps[1:]) + sum(watch.held_out) + watch.samples
    assert prepared.datamodule is not None
    batches = len(prepared.datamodule.val_dataloader())
    if limit is not None:
        batches = max(int(limit * batches), 1) if isinstance(limit, float) else min(limit, batches)
    return Trial(
        step=statistics.mean(watch.steps[FIRST * accumulate :]) * accumulate,  # logging included
        held_out=statistics.median(watch.held_out) * batches,
        batches=batches,
        samples=watch.samples,
        besides=ended - began - measured,
        ending=ended - watch.ended,
        peak_memory=torch.cuda.max_memory_allocated() or machine.peak_memory(),
    )
