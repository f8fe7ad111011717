"""Stops a run that goes wrong, with an explanation: NaN or infinite losses and weights, overfitting."""

import math
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping

from lightning_gpt.errors import UserError
from lightning_gpt.model.record import is_count, or_none
from lightning_gpt.training.checkpoints import LastCheckpoint
from lightning_gpt.training.module import in_fit
from lightning_gpt.training.restoring import is_score
from lightning_gpt.training.sharding import whole

CAUSES = (
    "likely causes: a learning rate too high (lower --model.optimizer.lr, or raise --model.schedule.warmup_steps), "
    "gradients not clipped (--trainer.gradient_clip_val 1.0), or 16-mixed (take bf16-mixed or 32-true)"
)


class Finite(Callback):
    """Stops at the first loss that is not a finite number; counts the steps that 16-mixed skipped for overflow.

    On a GPU, which would have to wait for each loss to be read, training losses are checked when they are logged.
    """

    def __init__(self) -> None:
        self.overflows = 0
        self._scale = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the training loss and the gradient scaler.

        Raises:
            UserError: the loss is not finite.
        """
        logs = (batch_idx + 1) % max(1, trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]
        if logs or pl_module.device.type == "cpu":
            self._must_be_finite(trainer, "the training loss", float(outputs["loss"]))
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and logs:
            scale = scaler.get_scale()
            self.overflows += scale < self._scale  # it is halved when a gradient overflows
            self._scale = scale
            pl_module.log("optim/overflows", float(self.overflows))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the held-out loss.

        Raises:
            UserError: it is not finite.
        """
        if trainer.state.fn == "fit" and "val/loss" in trainer.callback_metrics:
            self._must_be_finite(trainer, "val/loss", float(trainer.callback_metrics["val/loss"]))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuses to save NaN or infinite weights in place of good ones.

        Raises:
            UserError: a weight is not finite.
        """
        if not all(whole(torch.isfinite(p).all()) for p in pl_module.parameters()):
            self._must_be_finite(trainer, "a weight", math.nan)

    def _must_be_finite(self, trainer: Trainer, what: str, value: float) -> None:
        if math.isfinite(value):
            return
        paths = [callback.path for callback in trainer.checkpoint_callbacks if isinstance(callback, LastCheckpoint)]
        saved = next((path for path in paths if path.is_file()), None)
        good = f"{saved} was saved before and is good" if saved else "no checkpoint was saved yet"
        raise UserError(f"{what} became {value} at step {trainer.global_step:,}: the run stops; {good}; {CAUSES}")


class Overfitting(EarlyStopping):
    """Stops when val/loss has not improved for long, and explains what that means and what to change.

    Args:
        patience: validations in a row without a new lowest val/loss; 0: never stop.
    """

    STATE: ClassVar = {
        "wait_count": is_count,
        "stopped_epoch": is_count,
        "patience": is_count,
        "best_score": is_score,
        "best": or_none(lambda best: is_count(best[0]) and [type(x) for x in best[1:]] == [float, float]),
    }

    def __init__(self, patience: int = 10) -> None:
        if patience < 0:
            raise UserError(f"overfitting.patience must be 0 (never stop) or above, not {patience}")
        super().__init__(monitor="val/loss", mode="min", patience=patience, check_finite=False)
        self._best: tuple[int, float, float] | None = None  # step, val/loss, train/loss

    def state_dict(self) -> dict[str, Any]:
        """Saves where the best loss was, too."""
        return {**super().state_dict(), "best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `state_dict`."""
        self._best = state_dict.pop("best")
        super().load_state_dict(state_dict)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops and explains."""
        if self.patience == 0 or not in_fit(trainer):
            return
        before = self.wait_count
        super().on_validation_end(trainer, pl_module)
        metrics = trainer.callback_metrics
        val, train = float(metrics["val/loss"]), float(metrics.get("train/loss", math.nan))
        if self._best is None or self.wait_count == 0:
            self._best = (trainer.global_step, val, train)
        elif before < self.wait_count >= self.patience:
            pl_module.print(self.explanation(trainer.global_step, val, train))

    def explanation(self, step: int, val: float, train: float) -> str:
        """Explains why the run stopped after `step`, at these losses."""
        assert self._best is not None
        best_step, best_val, best_train = self._best
        text = (
            f"\nstopped: val/loss was lowest at step {best_step:,} ({best_val:.4f}) and is {val:.4f} now, "
            f"{self.patience} validations later.\n"
        )
        if train < best_train:
            return text + (
                f"  train/loss went on falling, from {best_train:.4f} to {train:.4f}: the network overfits.\n"
                "  It memorises the training text, which does not help with any other. best.ckpt is from step "
                f"{best_step:,}.\n"
                "  To get further: more dropout (--model.network.dropout 0.2), a smaller network, more weight decay,\n"
                "  or more text. To go on all the same: --overfitting.patience 0.\n"
            )
        return text + (
            "  train/loss does not fall either: the learning rate is too high at this point of the run, or too low.\n"
            "  A decay helps (--model.schedule.decay linear). To go on all the same: --overfitting.patience 0.\n"
        )
