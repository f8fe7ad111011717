"""Saves a run: the best weights, the last, and when it is told to stop. The file itself: see `model.checkpoint`."""

import os
import re
import signal
import subprocess
import threading
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gpt import interrupt
from lightning_gpt.errors import Interrupted
from lightning_gpt.model import checkpoint as checkpoint_file
from lightning_gpt.runs import run_folder
from lightning_gpt.runs.stop import asked_to_stop, withdraw
from lightning_gpt.training.module import in_fit

VERSION = "pytorch-lightning_version"
LOOK_EVERY = 1.0  # seconds between two looks for a request to stop: on a network's disk one takes a moment


def is_version(value: Any) -> bool:
    """Accepts the version of a release."""
    return isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,9}){1,3}", value) is not None


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints whole or not at all, and reads them as plain values only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """See `model.checkpoint.write`."""
        checkpoint_file.write(checkpoint, path)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """See `model.checkpoint.read`: always `weights_only`, always to the CPU."""
        checkpoint = checkpoint_file.read(path)
        if not is_version(checkpoint.get(VERSION)):  # which Lightning needs for files that are older than this project
            checkpoint[VERSION] = version("pytorch-lightning")
        return checkpoint


class SafeCheckpoints(Callback):
    """Gives the Trainer `SafeCheckpointIO`, unless it was given another than Lightning's own."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Replaces Lightning's own before anything is read or written."""
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = SafeCheckpointIO()


def best_checkpoint() -> ModelCheckpoint:
    """Makes the callback that saves best.ckpt: the lowest val/loss so far, after the validation that found it."""
    return ModelCheckpoint(filename="best", monitor="val/loss", mode="min", save_top_k=1, enable_version_counter=False)


class LastCheckpoint(ModelCheckpoint):
    """Saves last.ckpt after every validation, at an interval in between, and when the run is stopped.

    The first Ctrl-C or SIGTERM, or SIGHUP of a terminal that is closed, only sets a flag: the run stops where a
    checkpoint is exact, after the whole step (and after the validation, if one is due). A second Ctrl-C or SIGTERM
    stops at once; what was saved before stays good. A request in the run's folder is another first Ctrl-C, see
    `runs.stop`.

    A checkpoint is never ahead of its curves. Lightning logs a step's numbers after the hook in which its state can be
    saved, so the file is saved under another name and becomes last.ckpt when they are in the log.

    Under SLURM, SIGUSR1 (sbatch --signal=USR1@90) does the same and puts the job into the queue again.

    Args:
        every_n_steps: the interval in steps; None: by the clock.
        every_seconds: the interval where it is not counted in steps.

    Attributes:
        answer: what is said to the first Ctrl-C or SIGTERM.
    """

    answer = "stopping after this step; again to stop at once, without saving"

    def __init__(self, every_n_steps: int | None = None, every_seconds: float = 60.0) -> None:
        super().__init__(filename="last", save_top_k=1, enable_version_counter=False)
        self.every_n_steps = every_n_steps
        self.every_seconds = every_seconds
        self._saved_at = time.monotonic()
        self._pending = False  # the step that was saved is not in the log yet
        self._stopping = False  # as soon as it is
        self._signal: int | None = None  # that has come
        self._asked = False  # to stop, by a request
        self._looked_at = time.monotonic()  # for one
        self._handlers: dict[int, Any] = {}

    @property
    def path(self) -> Path:
        """The path of last.ckpt, there or not yet."""
        assert self.dirpath is not None
        return Path(self.dirpath) / "last.ckpt"

    @property
    def _unlogged(self) -> Path:
        return self.path.with_name(".last.ckpt.part")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes what a killed run left half written, and takes over the signals; only the main thread may."""
        super().on_train_start(trainer, pl_module)
        self._withdraw_request(trainer)  # to an earlier fit, which did not live to see it
        if trainer.is_global_zero:
            for left in self.path.parent.glob(".*.part"):
                left.unlink()
        if threading.current_thread() is threading.main_thread():
            numbers = [signal.SIGINT, signal.SIGTERM]
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as by nohup
                numbers.append(signal.SIGHUP)
            if SLURMEnvironment.detect():
                # before a preemption; Lightning would save in the middle of a step, to a file that any run in this
                # folder would then begin from
                numbers.append(signal.SIGUSR1)
            self._handlers = {number: signal.signal(number, self._on_signal) for number in numbers}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        if number == getattr(signal, "SIGHUP", None):  # comes twice, of the terminal and of its shell; none reads on
            return
        self._restore_handlers()
        interrupt.end_at_next()
        with suppress(OSError):
            # os.write: a signal may come in the middle of a print
            os.write(2, f"\n{self.answer}\n".encode())

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if it is time or to stop, unless the step is not whole or its validation is still to come."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.global_step >= trainer.max_steps > 0:
            trainer.should_stop = True  # Lightning validates before it stops: the last weights get their loss, too
        whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        due = trainer.val_check_batch is not None and (batch_idx + 1) % trainer.val_check_batch == 0
        if not whole or (trainer.enable_validation and (due or trainer.should_stop)):
            return
        self._stopping = self._on_any_rank(trainer, self._is_told(trainer))
        if self._stopping or trainer.should_stop or self._is_due(trainer):
            trainer.save_checkpoint(self._unlogged, weights_only=False)  # its optimizer, too
            self._saved_at = time.monotonic()
            self._pending = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Renames the last step's file to last.ckpt, now that its numbers are logged; stops if that was told."""
        self._publish(trainer)
        if self._stopping:
            self._stop(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Renames the last step's file, where no validation came after it."""
        super().on_train_end(trainer, pl_module)
        self._publish(trainer)
        self._withdraw_request(trainer)  # which came too late

    def _publish(self, trainer: Trainer) -> None:
        if not self._pending:
            return
        self._pending = False
        if trainer.is_global_zero:
            self._unlogged.replace(self.path)
        trainer.strategy.barrier()  # no rank's end may take the others' down before that

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves, then stops if it is told to and the run is not over."""
        for logger in trainer.loggers:
            logger.save()  # other callbacks' pictures and samples of this validation
        super().on_validation_end(trainer, pl_module)
        self._saved_at = time.monotonic()
        if in_fit(trainer) and not trainer.should_stop and self._on_any_rank(trainer, self._is_told(trainer), now=True):
            self._stop(trainer)

    def _is_told(self, trainer: Trainer) -> bool:
        """Returns whether a signal has come, or a request lies in the run's folder; only the first rank looks there."""
        if not self._asked and trainer.is_global_zero and time.monotonic() - self._looked_at >= LOOK_EVERY:
            folder = run_folder(self.path)
            self._asked = folder is not None and asked_to_stop(folder)
            self._looked_at = time.monotonic()
        return self._asked or self._signal is not None

    def _withdraw_request(self, trainer: Trainer) -> None:
        folder = run_folder(self.path)
        if folder is not None and trainer.is_global_zero:
            withdraw(folder)

    def _is_due(self, trainer: Trainer) -> bool:
        """Returns whether the interval is over."""
        if self.every_n_steps is not None:
            return trainer.global_step % self.every_n_steps == 0
        return self._on_any_rank(trainer, time.monotonic() - self._saved_at > self.every_seconds)

    def _on_any_rank(self, trainer: Trainer, mine: bool, now: bool = False) -> bool:
        """Returns whether this holds on any rank: all must agree, or one saves while another waits for gradients.

        The exchange costs all of them a moment, so it is made every 16 steps only, or `now`.
        """
        if trainer.world_size == 1:
            return mine
        if trainer.global_step % 16 and not now:
            return False
        return trainer.strategy.reduce_boolean_decision(mine, all=False)

    def _stop(self, trainer: Trainer) -> None:
        if self._signal == signal.SIGUSR1 and trainer.is_global_zero:
            job = os.environ.get("SLURM_ARRAY_JOB_ID")
            job = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}" if job else os.environ["SLURM_JOB_ID"]
            subprocess.run(["scontrol", "requeue", job], check=False)
        self._withdraw_request(trainer)
        number = self._signal or (None if self._asked else signal.SIGTERM)  # of another rank
        raise Interrupted(number, trainer.global_step, self.path)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restores the signals' handlers."""
        self._restore_handlers()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Restores the signals' handlers."""
        self._restore_handlers()
