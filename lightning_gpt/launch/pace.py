"""Keeps a run's budget of time on a machine whose speed changes: counts the steps once more, on the way.

What is left of the learning rate's course is stretched to the new number of them, and config.yaml is written anew with
both numbers and the step in between. So it makes the same run again.
"""

import math
import sys
import time
from dataclasses import replace
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt.launch.configuration import WholeConfig
from lightning_gpt.terminal import row
from lightning_gpt.training import LanguageModel

FEWEST = 0.1  # steps that are left whatever the time, as a share of those done: for the learning rate to fall


class Pace(Callback):
    """Ends a run in time.

    Args:
        deadline: of the whole command, a time of `time.perf_counter`.
        settling: steps after which the rest is counted; a validation ends there.
        ending: seconds from the last validation to the command's end.
        most: steps of the whole run; None: any number.
    """

    def __init__(self, deadline: float, settling: int, ending: float, most: int | None = None) -> None:
        self.deadline = deadline
        self.settling = settling
        self.ending = ending
        self.most = most
        self._validating: list[float] = []  # seconds of each validation, with the samples and the checkpoint after it
        self._steps: list[float] = []  # when each step began, validations taken out

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock of a validation."""
        if not trainer.sanity_checking:
            self._validating.append(-time.perf_counter())

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stops that clock; counts the rest if it is time to."""
        now = time.perf_counter()
        if self._validating and self._validating[-1] < 0:
            self._validating[-1] += now
        if batch_idx % trainer.accumulate_grad_batches == 0 and trainer.global_step <= self.settling:
            self._steps.append(now - sum(self._validating))
            if trainer.global_step == self.settling and len(self._steps) > 2:
                self._settle(trainer, pl_module, self.deadline - now)

    def _settle(self, trainer: Trainer, module: LightningModule, left: float) -> None:
        """Sets the number of steps that the seconds left allow."""
        assert isinstance(module, LanguageModel) and isinstance(trainer.val_check_interval, int)
        # the machine as it is now: of the later half of the steps
        recent = self._steps[len(self._steps) // 2 :]
        step = (recent[-1] - recent[0]) / (len(recent) - 1)
        validation = sum(self._validating) / len(self._validating)
        every = trainer.val_check_interval // trainer.accumulate_grad_batches
        validations, rest = divmod(left - self.ending, every * step + validation)
        more = max(validations * every + max(rest - validation, 0.0) / step, FEWEST * self.settling)
        steps = min(self.settling + math.ceil(more), self.most or sys.maxsize)
        before = trainer.max_steps
        trainer.fit_loop.epoch_loop.max_steps = steps
        module.schedule = replace(module.schedule, planned_steps=before, changed_at=self.settling)
        for saved in [callback for callback in trainer.callbacks if isinstance(callback, WholeConfig)]:  # type: ignore[attr-defined]
            saved.config["trainer.max_steps"] = steps
            saved.config["model.schedule.planned_steps"] = before
            saved.config["model.schedule.changed_at"] = self.settling
            saved.write(trainer)
        if steps != before:
            change = steps / before - 1
            module.print(row("budget", f"{steps:,} steps in all, {change:+.1%}: the machine's speed, measured again"))
