"""Training with Lightning: the data, the module, and the callbacks that show and save a run."""

from lightning_gpt.training.board import Board, Page
from lightning_gpt.training.checkpoints import LastCheckpoint, SafeCheckpointIO, SafeCheckpoints, best_checkpoint
from lightning_gpt.training.datamodule import CharDataModule
from lightning_gpt.training.defaults import TRAINER_DEFAULTS, callbacks, displays, progress_bar, savers
from lightning_gpt.training.film import Film
from lightning_gpt.training.health import Finite, Overfitting
from lightning_gpt.training.module import LanguageModel
from lightning_gpt.training.optimizer import AdamW, Muon, OptimizerRecipe
from lightning_gpt.training.progress import ProgressBar, RunLog, Speed
from lightning_gpt.training.result import ResultFile
from lightning_gpt.training.samples import SampleText
from lightning_gpt.training.schedule import Schedule

__all__ = [
    "TRAINER_DEFAULTS",
    "AdamW",
    "Board",
    "CharDataModule",
    "Film",
    "Finite",
    "LanguageModel",
    "LastCheckpoint",
    "Muon",
    "OptimizerRecipe",
    "Overfitting",
    "Page",
    "ProgressBar",
    "ResultFile",
    "RunLog",
    "SafeCheckpointIO",
    "SafeCheckpoints",
    "SampleText",
    "Schedule",
    "Speed",
    "best_checkpoint",
    "callbacks",
    "displays",
    "progress_bar",
    "savers",
]
