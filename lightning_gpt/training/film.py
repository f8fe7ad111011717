"""Keeps a run's weights at a few steps, so that one can look back at how it learned. A run never goes on from them."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt.model import TrainedGPT
from lightning_gpt.runs.folders import film_frame
from lightning_gpt.training.module import LanguageModel


class Film(Callback):
    """Saves the weights, without the optimizer's state, before step 1 and after the steps 1, 2, 4, 8, 16 ….

    Most is learned early: at powers of two each frame has seen twice what the one before it had, as in Pythia's
    checkpoints (Biderman et al. 2023). The end of the run is in last.ckpt. Needs a logger, whose folder is the run's.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Saves the first weights."""
        if trainer.global_step == 0:
            self._save(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if the step is whole and a power of two."""
        step = trainer.global_step
        if step & (step - 1) == 0 and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._save(trainer, pl_module)

    def _save(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, LanguageModel)
        folder, net = trainer.log_dir, module.whole_net()  # both on all ranks, or the first one waits for the others
        if folder is not None and net is not None:
            step = trainer.global_step
            record = module.record_of(net, module.data, step)
            TrainedGPT(net, module.tokenizer, record).save(film_frame(Path(folder), step))
