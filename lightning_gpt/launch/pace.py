"""Keeps a run's budget of time on a machine whose speed changes: counts the steps anew, on the way.

What is left of the learning rate's course is stretched to the new number of them, and config.yaml is written anew with
the number and with the step of the change. So it makes the same run again.
"""

import math
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt.launch.configuration import WholeConfig
from lightning_gpt.terminal import row
from lightning_gpt.training import LanguageModel

COUNTS = (2 / 3, 9 / 10)  # shares of the run after which the rest is counted
FEWEST = 0.05  # steps that are left whatever the time, as a share of those done: for the learning rate to fall


class Pace(Callback):
    """Ends a run in time.

    Args:
        deadline: of the whole command, a time of `time.perf_counter`.
        ending: seconds from the last validation to the command's end.
        most: steps that may be in the whole run; None: any number.
    """

    def __init__(self, deadline: float, ending: float, most: int | None = None) -> None:
        self.deadline = deadline
        self.ending = ending
        self.most = most
        self._counts = list(COUNTS)
        self._validating: list[float] = []  # seconds of each validation, with the samples and the checkpoint after it
        self._steps: list[float] = []  # since the last count: when each step began, validations taken out

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of a validation."""
        if not trainer.sanity_checking:
            self._validating.append(-time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stops that clock; counts the rest if it is time to."""
        now = time.perf_counter()
        if self._validating and self._validating[-1] < 0:
            self._validating[-1] += now
        if batch_idx % trainer.accumulate_grad_batches or not self._counts:
            return
        self._steps.append(now - sum(self._validating))
        if len(self._steps) > 2 and self._validating and trainer.global_step >= self._counts[0] * trainer.max_steps:
            self._counts.pop(0)
            self._count(trainer, pl_module, self.deadline - now)

    def _count(self, trainer: Trainer, module: LightningModule, left: float) -> None:
        """Sets the number of steps that the seconds left allow."""
        assert isinstance(module, LanguageModel) and isinstance(trainer.val_check_interval, int)
        # the machine as it is now: of the later half of the steps since the last count
        recent = self._steps[len(self._steps) // 2 :]
        self._steps = recent[-1:]
        step = (recent[-1] - recent[0]) / (len(recent) - 1)
        done, before = trainer.global_step, trainer.max_steps
        more = steps_within(
            left - self.ending,
            step,
            statistics.mean(self._validating),
            trainer.val_check_interval // trainer.accumulate_grad_batches,
            done,
        )
        steps = min(done + max(more, math.ceil(FEWEST * done)), self.most or sys.maxsize)
        if steps == before:
            return
        trainer.fit_loop.epoch_loop.max_steps = steps
        changes = [*module.schedule.changes, (done, before)]
        module.schedule = replace(module.schedule, changes=changes)
        for saved in [callback for callback in trainer.callbacks if isinstance(callback, WholeConfig)]:  # type: ignore[attr-defined]
            saved.config["trainer.max_steps"] = steps
            saved.config["model.schedule.changes"] = [list(change) for change in changes]
            saved.write(trainer)
        change = steps / before - 1
        module.print(row("budget", f"{steps:,} steps in all, {change:+.1%}: the machine's speed, measured again"))


def steps_within(left: float, step: float, validation: float, every: int, done: int) -> int:
    """Computes how many more steps can be done, of a run that validates after `every` steps and at its end.

    Args:
        left: seconds.
        step: seconds of a step.
        validation: seconds of a validation.
        every: steps between two validations.
        done: steps.
    """
    since = done % every  # the last validation
    intervals, rest = divmod(left + since * step, every * step + validation)
    return max(math.floor(intervals * every + max(rest - validation, 0.0) / step) - since, 0)
