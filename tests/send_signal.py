"""A signal or a request that comes at a known step of a run, so that no test waits and hopes to catch it in the middle.

A class for a run's own configuration: `--trainer.callbacks+=send_signal.SendSignal --trainer.callbacks.number=2 …`.
"""

import os
from pathlib import Path

from lightning.pytorch import Callback

from lightning_gpt.runs.stop import ask_to_stop


class SendSignal(Callback):
    """Sends its own process a signal in the middle of a step: the gradients are there, the weights have not moved yet.

    Args:
        number: of the signal.
        step: after which the run is to stop, counted from 1.
        to_all: to the whole process group, as a terminal does; else to the first rank alone.
    """

    def __init__(self, number: int, step: int, to_all: bool = False) -> None:
        self.number = number
        self.step = step
        self.to_all = to_all

    def on_before_optimizer_step(self, trainer, *_):
        if trainer.is_global_zero and trainer.global_step + 1 == self.step:
            (os.killpg if self.to_all else os.kill)(os.getpid(), self.number)


def send_signal(number, step, to_all=False):
    """The options of a run that is sent this signal."""
    sizes = {"number": int(number), "step": step, "to_all": str(to_all).lower()}
    return ["--trainer.callbacks+=send_signal.SendSignal", *(f"--trainer.callbacks.{k}={v}" for k, v in sizes.items())]


class AskToStop(Callback):
    """Asks its own run to stop, by the request in its folder, before this step is done, counted from 1."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_before_optimizer_step(self, trainer, *_):
        if trainer.is_global_zero and trainer.global_step + 1 == self.step:
            ask_to_stop(Path(trainer.loggers[0].log_dir))


def ask_to_stop_at(step):
    """The options of a run that is asked to stop."""
    return ["--trainer.callbacks+=send_signal.AskToStop", f"--trainer.callbacks.step={step}"]
