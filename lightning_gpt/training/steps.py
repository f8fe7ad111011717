"""The losses, in training and on held-out text: what is logged of them, how their gradient is clipped."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from lightning_gpt.errors import UserError
from lightning_gpt.text import IGNORE
from lightning_gpt.text.blocks import batch_seed
from lightning_gpt.text.units import cross_entropy
from lightning_gpt.training.datamodule import CharDataModule
from lightning_gpt.training.held_out import HeldOutLoss
from lightning_gpt.training.sharding import whole
from lightning_gpt.training.teacher import Teacher, distillation_loss


class Steps(LightningModule):
    """Computes the losses of whatever network `forward` runs; a step's is in nats per token.

    Logs `train/loss`, `lr`, `grad_norm` (before clipping) every `log_every_n_steps`, and at each validation
    `val/loss` (nats per token), `val/bits_per_char` and `val/bits_per_byte` of the held-out text, and `val/perplexity`
    (per token). Where each line is an example, all of these are of its answer, and `val/exact` is the share of held-out
    lines that are answered exactly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held_out = HeldOutLoss()
        self._teacher: Teacher | None = None  # whose probabilities are learned; None: the text

    @property
    def data(self) -> CharDataModule:
        """The datamodule of the run.

        Raises:
            UserError: there is none, or another.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, CharDataModule):
            raise UserError("a LanguageModel reads a CharDataModule: give one, as trainer.validate(model, data)")
        return data

    @property
    def is_log_step(self) -> bool:
        """True if Lightning writes its logs after this step; logging in between would cost and be thrown away."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # 0: never
        return every > 0 and (self.global_step + 1) % every == 0

    def trained(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V) in a training step, once in each: `forward`, or what does the same faster."""
        return self(ids)

    def shared_step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """x, y (B, T) to logits (B, T, V) in fp32, the mean loss in nats per token, and how many tokens it is over."""
        x, y = batch
        return self.losses(self(x), y)

    @staticmethod
    def losses(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same, of logits (B, T, V) and targets y (B, T)."""
        logits = logits.float()
        nats = cross_entropy(logits, y, reduction="sum")
        tokens = (y != IGNORE).sum()
        return logits, nats / tokens.clamp(min=1), tokens

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seeds dropout's draws, a pure function of (seed, batch, rank) as the batch is: a resumed run repeats them."""
        seed = batch_seed(self.data.seed + 1 + self.global_rank, batch_idx)
        # not torch.manual_seed, which looks for every kind of device there may be: 1 ms a step
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.device.type == "mps":
            torch.mps.manual_seed(seed)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Computes the mean loss, in nats per token; a batch is x, y (B, T), and `expected` where it is known."""
        x, y, *expected = batch
        logits, loss, targets = self.losses(self.trained(x), y)
        if self.is_log_step:
            lr = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log("train/loss", loss.detach(), prog_bar=True)
            self.log("lr", lr)
        if self._teacher is not None:
            loss = distillation_loss(logits, expected[0] if expected else self._teacher(x), y)
        if self.data.tokens.examples is not None and self.trainer.world_size > 1:
            # the mean over all ranks' targets, whose numbers differ: gradients are averaged over ranks
            loss = loss * targets / self.trainer.strategy.reduce(targets.float(), reduce_op="mean")
        return loss

    def on_validation_start(self) -> None:
        """Prepares the sums."""
        self.held_out.use_double_precision()

    on_test_start = on_validation_start

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Adds a batch to the exact mean over all held-out targets."""
        logits, loss, targets = self.shared_step(batch)
        self.held_out.update(logits, batch[1], loss, targets)

    def on_validation_epoch_end(self) -> None:
        """Logs the mean over targets, not over batches."""
        self.log_held_out("val")

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Measures the held-out text again: a corpus has no third split."""
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Logs as after validation, under `test/`."""
        self.log_held_out("test")

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """x, y (B, T) to the nats of each target (B, T), 0 where the text has ended."""
        x, y = batch
        return cross_entropy(self(x), y)

    def log_held_out(self, split: str) -> None:
        """Logs nats, bits and perplexity of all that was added since the last call."""
        for name, value in self.held_out.compute().items():
            self.log(f"{split}/{name}", value, prog_bar=name == "loss")

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips by norm or by value as Lightning does, and logs the norm, which Lightning throws away."""
        clip = gradient_clip_val or 0.0  # 0 is off, in Lightning as in nanoGPT
        if clip <= 0 and not self.is_log_step:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = whole(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
        if clip > 0 and gradient_clip_algorithm == "value":
            # not Lightning's own, which refuses a fused optimizer in every mixed precision (#21435)
            torch.nn.utils.clip_grad_value_(parameters, clip)
        elif clip > 0:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        if self.is_log_step:
            self.log("grad_norm", norm)
