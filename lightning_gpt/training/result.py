"""Writes result.json into the run's folder. Its contents: see `lightning_gpt.runs.result`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt.model.record import checked, is_count
from lightning_gpt.runs.curves import read_events
from lightning_gpt.runs.result import Result, Validation
from lightning_gpt.training.board import PLACES
from lightning_gpt.training.describe import Card, card, provenance
from lightning_gpt.training.module import LanguageModel, in_fit
from lightning_gpt.training.progress import Speed
from lightning_gpt.training.restoring import is_loss, is_seconds

OF_A_VALIDATION = {
    "step": is_count,
    "nats_per_token": is_loss,
    "bits_per_char": is_loss,
    "bits_per_byte": is_loss,
    "seconds": is_seconds,
}


class ResultFile(Callback):
    """Replaces result.json when a fit begins, after each validation, and when it has come to its own end.

    Needs a logger, whose folder is the run's; without one it writes nothing.

    Args:
        speed: the callback that measures the speed.
        command: what was typed to begin the run.
        version: of the code that runs.
    """

    STATE: ClassVar = {
        "validations": lambda saved: (
            isinstance(saved, list) and all(checked(Validation, v, OF_A_VALIDATION) for v in saved)
        )
    }

    def __init__(self, speed: Speed, command: str = "", version: str = "") -> None:
        self.speed = speed
        self.command = command
        self.version = version
        self.validations: tuple[Validation, ...] = ()
        self._card: Card = ()

    def state_dict(self) -> dict[str, Any]:
        """Saves the validations in the checkpoint: a resumed run has those up to it, and no others."""
        return {"validations": [asdict(validation) for validation in self.validations]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `state_dict`."""
        self.validations = tuple(checked(Validation, values, OF_A_VALIDATION) for values in state_dict["validations"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the card."""
        assert isinstance(pl_module, LanguageModel)
        if trainer.global_step and not self.validations and trainer.loggers:
            self.validations = self._logged(trainer, pl_module)
        self._card = card(trainer, pl_module) + provenance(self.command, self.version)
        self._write(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Adds the validation, unless it is a sanity check."""
        if not in_fit(trainer):
            return
        metrics = trainer.callback_metrics
        nats, per_char, per_byte = (
            float(metrics[f"val/{name}"]) for name in ("loss", "bits_per_char", "bits_per_byte")
        )
        validation = Validation(trainer.global_step, nats, per_char, per_byte, self.speed.training_seconds)
        self.validations = (*self.validations, validation)
        self._write(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Marks the run as finished; its last checkpoint is saved by now."""
        self._write(trainer, pl_module, finished=True)

    def _logged(self, trainer: Trainer, module: LanguageModel) -> tuple[Validation, ...]:
        """Takes the validations of a run of version 0.1 from its curve: its checkpoints have none.

        Their seconds are known for the checkpoint only, and are shared out evenly among the steps.
        """
        held_out, done = module.data.tokens.held_out, trainer.global_step
        folder = Path(trainer.log_dir or "")  # read on all ranks, or the first one waits for the others
        curve = read_events(folder).get(PLACES["val/loss"], [])
        return tuple(
            Validation(
                step,
                loss,
                held_out.bits_per_character(loss),
                held_out.bits_per_byte(loss),
                self.speed.training_seconds * step / done,
            )
            for step, loss in curve
            if step <= done
        )

    def _write(self, trainer: Trainer, module: LightningModule, finished: bool = False) -> None:
        if not trainer.loggers:
            return
        folder = Path(trainer.log_dir or "")  # read on all ranks, or the first one waits for the others
        if not trainer.is_global_zero:
            return
        saved = {name: f"checkpoints/{name}.ckpt" for name in ("best", "last")}
        Result(
            finished=finished,
            max_steps=trainer.max_steps,
            parameters=sum(p.numel() for p in module.parameters()),
            chars_per_s=self.speed.median,
            validations=self.validations,
            checkpoints={name: path for name, path in saved.items() if (folder / path).is_file()},
            card=self._card,
        ).write(folder)
