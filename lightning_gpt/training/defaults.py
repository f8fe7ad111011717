"""The options and callbacks that a run needs beside a bare Trainer: one dictionary, one list.

>>> trainer = Trainer(**{**TRAINER_DEFAULTS, "max_steps": 500}, callbacks=callbacks())
>>> trainer.fit(LanguageModel(GPT), CharDataModule("book.txt"))
"""

import sys
from typing import Any

from lightning.pytorch import Callback

from lightning_gpt.training.board import Page
from lightning_gpt.training.checkpoints import LastCheckpoint, SafeCheckpoints, best_checkpoint
from lightning_gpt.training.film import Film
from lightning_gpt.training.health import Finite, Overfitting
from lightning_gpt.training.progress import ProgressBar, RunLog, Speed
from lightning_gpt.training.result import ResultFile
from lightning_gpt.training.samples import SampleText

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 2000,
    "max_epochs": -1,  # blocks are drawn without end: there are steps, no epochs
    "check_val_every_n_epoch": None,  # so that val_check_interval counts steps
    "val_check_interval": 250,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,  # the blocks know their rank
    "enable_model_summary": False,  # the run's card says it
}


def callbacks(save_every_n_steps: int | None = None) -> list[Callback]:
    """Makes all that the project adds to Lightning's Trainer.

    Safe checkpoints, best.ckpt and last.ckpt, a validation after the exact last step, a stop that saves, samples,
    TensorBoard's page (with a `Board` for a logger), result.json, speed, and an end when the loss is not finite or the
    network overfits.

    Args:
        save_every_n_steps: save last.ckpt every so many steps, not only at validations and every minute.
    """
    return [SampleText(), Overfitting(), *displays(), *savers(save_every_n_steps)]


def displays(command: str = "", version: str = "") -> list[Callback]:
    """Makes the callbacks that watch a run and report on it.

    Args:
        command: what was typed to begin the run.
        version: of the code that runs.
    """
    speed = Speed()
    return [speed, RunLog(command, version), Finite(), Page(), ResultFile(speed, command, version)]


def savers(save_every_n_steps: int | None = None, film: bool = False) -> list[Callback]:
    """Makes the callbacks that save a run, and with `film` the one that keeps its early weights."""
    return [SafeCheckpoints(), best_checkpoint(), LastCheckpoint(save_every_n_steps), *([Film()] if film else [])]


def progress_bar(wanted: bool | None) -> list[Callback]:
    """Makes a progress bar where one is wanted, or where there is somebody to look at it: a terminal or a notebook."""
    if wanted is None:
        wanted = sys.stderr.isatty() or "ipykernel.kernelapp" in sys.modules  # in a kernel, not beside one
    return [ProgressBar()] if wanted else []
