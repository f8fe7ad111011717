"""Passes a run's texts, pictures and numbers to each of its loggers, as far as that can take them.

What a logger can take is registered by its class, so that a further one is a few lines anywhere:

>>> @takes_text.register
... def _(logger: MyLogger, tag: str, text: str, step: int) -> None: ...
"""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger
from PIL import Image


@singledispatch
def takes_text(logger: Logger, tag: str, text: str, step: int) -> None:
    """Logs a text under a tag; a logger that is not registered drops it."""


@singledispatch
def takes_picture(logger: Logger, tag: str, picture: Image.Image, step: int) -> None:
    """Logs a picture under a tag; a logger that is not registered drops it."""


@singledispatch
def takes_options(logger: Logger, options: Mapping[str, Any]) -> None:
    """Logs a run's options when it begins, or goes on."""
    logger.log_hyperparams(dict(options))


@takes_text.register
def _(logger: WandbLogger, tag: str, text: str, step: int) -> None:
    logger.log_text(tag, ["text"], [[text]], step=step)


@takes_picture.register
def _(logger: WandbLogger, tag: str, picture: Image.Image, step: int) -> None:
    logger.log_image(tag, [picture], step=step)


@takes_text.register
def _(logger: MLFlowLogger, tag: str, text: str, step: int) -> None:
    logger.experiment.log_text(logger.run_id, text, f"{_as_path(tag)}/step_{step}.txt")


@takes_picture.register
def _(logger: MLFlowLogger, tag: str, picture: Image.Image, step: int) -> None:
    logger.experiment.log_image(logger.run_id, picture, f"{_as_path(tag)}/step_{step}.png")


@takes_options.register
def _(logger: MLFlowLogger, options: Mapping[str, Any]) -> None:
    known = logger.experiment.get_run(logger.run_id).data.params  # for good: a resume can't change one
    logger.log_hyperparams({name: value for name, value in options.items() if name not in known})


def _as_path(tag: str) -> str:
    """Spells a tag as a path of an artifact: a sample's has its prompt in it."""
    return "".join(c if c.isalnum() or c in "/_-" else "_" for c in tag)


def write_text(trainer: Trainer, tag: str, text: str) -> None:
    """Logs text with each logger, at the last step done, counted from 0 as Lightning counts."""
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            takes_text(logger, tag, text, last_step(trainer))


def write_picture(trainer: Trainer, tag: str, picture: Image.Image) -> None:
    """Logs a picture with each logger."""
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            takes_picture(logger, tag, picture, last_step(trainer))


def write_numbers(trainer: Trainer, numbers: Mapping[str, float]) -> None:
    """Logs numbers with each logger, from where a module can't log any more."""
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.log_metrics(dict(numbers), last_step(trainer))


def last_step(trainer: Trainer) -> int:
    """Returns the number of the last step done; before the first step 0."""
    return max(trainer.global_step - 1, 0)
