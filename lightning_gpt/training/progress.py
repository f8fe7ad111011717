"""Shows a run's progress: its card, a bar, a line a validation, its speed. Writes no file of its own."""

import statistics
import textwrap
import time
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from lightning_gpt import machine
from lightning_gpt.terminal import HEAD, row, styled
from lightning_gpt.training.describe import card, flops_per_token, provenance
from lightning_gpt.training.loggers import write_text
from lightning_gpt.training.module import LanguageModel, in_fit
from lightning_gpt.training.restoring import is_seconds

CARD = "the_run"  # after the samples in the alphabet, which TensorBoard's page of texts therefore begins with
WIDEST = 90  # characters of a line there that stays inside of its box


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the losses, characters/s and time left; redrawn every 20 steps, which costs nothing."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=20, leave=False)

    @property
    def total_train_batches(self) -> int | float:
        """Batches of the whole run, also after a resume: the bar counts from the run's own beginning."""
        steps = self.trainer.max_steps
        return steps * self.trainer.accumulate_grad_batches if steps > 0 else float("inf")

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        """Starts the bar at the steps done, so that speed and time left are those since the resume."""
        super().on_train_epoch_start(trainer, *args)
        self.train_progress_bar.set_description("training")  # there are steps, no epochs
        self.train_progress_bar.initial = trainer.global_step * trainer.accumulate_grad_batches

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the bars of a fit that was stopped; else each is drawn once more whenever it is collected."""
        for bar in (self._train_progress_bar, self._val_progress_bar):
            if bar is not None:
                bar.close()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Returns the metrics marked for the bar, their names shortened."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        if speed := metrics.pop("speed/chars_per_s", None):
            metrics["chars/s"] = f"{speed:,.0f}"
        return {name.replace("/loss", ""): value for name, value in metrics.items()}


class Speed(Callback):
    """Logs how fast the run trains, all ranks together, validation not counted: `speed/chars_per_s` and `speed/mfu`.

    MFU, model FLOPs utilisation ("PaLM", Chowdhery et al. 2022): the floating-point operations that the network's
    matrix products need, as a share of those that this machine does in the same time in one large product, measured
    when the run starts.

    Attributes:
        training_seconds: time spent in training steps so far, also before a resume.
    """

    STATE: ClassVar = {"training_seconds": is_seconds}

    def __init__(self) -> None:
        self.training_seconds = 0.0
        self._characters = 0.0
        self._characters_per_position = 1.0
        self._seconds = 0.0
        self._since: float | None = None  # None: the clock is stopped
        self._rates: list[float] = []  # characters/s, one a log step

    def state_dict(self) -> dict[str, float]:
        """Saves the training time, which a resumed run adds to."""
        return {"training_seconds": self.training_seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """See `state_dict`."""
        self.training_seconds = state_dict["training_seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measures the machine's peak."""
        assert isinstance(pl_module, LanguageModel)
        half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
        peak = machine.flops(pl_module.device, half.get(str(trainer.precision), torch.float32))
        self._peak = peak * trainer.world_size
        length, data = pl_module.data.tokens.length, pl_module.data
        # of lines, what pads them to a block is work, but no text
        read = data.tokens_per_batch / (data.batch_size * data.block_size)
        self._characters_per_position = read * length.characters / length.tokens
        self._flops = flops_per_token(pl_module) / self._characters_per_position

    def on_train_batch_start(self, *_: Any) -> None:
        """Starts the clock if it is stopped: a run's start and its validations are no training."""
        if self._since is None:
            self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts characters, and logs the speed at Lightning's own interval."""
        self._characters += batch[0].numel() * self._characters_per_position * trainer.world_size
        every = trainer.log_every_n_steps * trainer.accumulate_grad_batches  # type: ignore[attr-defined]
        if every == 0 or (batch_idx + 1) % every:
            return
        self._read_clock()
        rate = self._characters / self._seconds
        pl_module.log("speed/chars_per_s", rate, prog_bar=True)
        pl_module.log("speed/mfu", rate * self._flops / self._peak)
        self._rates.append(rate)
        self._characters, self._seconds = 0.0, 0.0

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        self._read_clock()
        self._since = None

    @property
    def median(self) -> float | None:
        """The median speed so far, in characters/s; None before the first log step."""
        return statistics.median(self._rates) if self._rates else None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the median speed."""
        rate = self.median
        if rate is None:
            return
        work = rate * self._flops
        share = (
            f", {work / 1e9:,.0f} GFLOP/s: {work / self._peak:.0%} of the {self._peak / 1e9:,.0f} of a large matrix "
            "product here"
        )
        pl_module.print(f"\nspeed    {rate:,.0f} characters/s{share if work else ''}")

    def _read_clock(self) -> None:
        if self._since is None:
            return
        now = time.perf_counter()
        self._seconds += now - self._since
        self.training_seconds += now - self._since
        self._since = now


class RunLog(Callback):
    """Prints the run's card when it starts and one line a validation.

    Args:
        command: what was typed to start the run.
        version: of the code that runs.
    """

    def __init__(self, command: str = "", version: str = "") -> None:
        self.command = command
        self.version = version
        self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the card (text, network, machine, folder), and logs it as CARD among TensorBoard's texts."""
        self._since = time.perf_counter()
        assert isinstance(pl_module, LanguageModel)
        rows = card(trainer, pl_module)
        pl_module.print("\n".join(row(head, said) for head, said in rows) + "\n")
        if trainer.is_global_zero:
            rows += provenance(self.command, self.version)
            folded = (
                textwrap.wrap(f"{head:{HEAD}}{said}", WIDEST, subsequent_indent=" " * HEAD) for head, said in rows
            )
            write_text(trainer, CARD, "\n".join(line for lines in folded for line in lines))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints step, losses in nats per token, bits per character (and per byte where it differs), seconds.

        Where lines are examples, the share that is answered exactly, too.
        """
        if not in_fit(trainer):
            return
        assert isinstance(pl_module, LanguageModel)
        metrics = trainer.callback_metrics
        unit = pl_module.tokenizer.unit
        bits = [f"{float(metrics[f'val/bits_per_{name}']):.3f} bits/{name}" for name in ("char", "byte")]
        length = pl_module.data.tokens.length
        if length.characters == length.bytes:  # ASCII
            bits = bits[:1]
        exact = f"{float(metrics['val/exact']):.2%} exact  " if "val/exact" in metrics else ""
        train = f"train {float(metrics['train/loss']):.4f}  " if "train/loss" in metrics else ""
        held_out = styled(f"val {float(metrics['val/loss']):.4f} nats/{unit}", "bold")
        pl_module.print(
            f"step {trainer.global_step:>6,}  {train}{held_out}  {'  '.join(bits)}  {exact}"
            f"{time.perf_counter() - self._since:6.1f} s"
        )
