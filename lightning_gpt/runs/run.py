"""A run, opened by its folder: configuration, result, curves, samples, and the trained network."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lightning_gpt.errors import UserError
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model import load as load_file
from lightning_gpt.runs import config as config_file
from lightning_gpt.runs.curves import read_events, samples
from lightning_gpt.runs.folders import BY_NAME, find_checkpoint
from lightning_gpt.runs.result import Result

# places in TensorBoard to the names that the metrics are logged under
CURVES = {"loss/train": "train/loss", "loss/val": "val/loss", "optim/lr": "lr", "optim/grad_norm": "grad_norm"}


class Run:
    """A run's folder, runs/<name>/version_N. Files are read when they are needed, and only once.

    >>> run = Run.newest()
    >>> run.result.best.bits_per_char
    >>> run.curves["val/loss"]  # [(250, 2.41), (500, 2.17), …]: (steps done, nats per token)
    >>> run.generate("ROMEO:", temperature=0.8)

    Raises:
        UserError: there is no such folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"no run at {folder}: give a run's folder, as runs/gpt/version_0")

    @classmethod
    def newest(cls, runs_dir: str | Path = "runs") -> "Run":
        """Opens the newest run below `runs_dir`.

        Raises:
            UserError: there is none with a checkpoint.
        """
        return cls(find_checkpoint("last", runs_dir).parent.parent)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def best(self) -> Path:
        """The checkpoint with the lowest val/loss."""
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        """The newest checkpoint, which training goes on from."""
        return self.folder / "checkpoints" / "last.ckpt"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration, nested as in YAML; data only.

        Raises:
            UserError: it is missing or damaged.
        """
        return config_file.read_config(self.folder / config_file.FILE)

    @cached_property
    def result(self) -> Result:
        """The run's result; an empty one where it saved none.

        Raises:
            UserError: result.json is damaged.
        """
        return Result.read(self.folder) or Result()

    @cached_property
    def _events(self) -> dict[str, list[tuple[int, Any]]]:
        return read_events(self.folder)

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Every logged number by its metric's name: (steps done, value). Losses in nats per token."""
        return {
            CURVES.get(tag, tag): [(step, float(value)) for step, value in points]
            for tag, points in self._events.items()
            if points and isinstance(points[0][1], float)
        }

    @property
    def texts(self) -> dict[str, list[tuple[int, str]]]:
        """Every sample by its prompt: (steps done, text)."""
        return samples({tag: p for tag, p in self._events.items() if p and isinstance(p[0][1], bytes)})

    def load(self, checkpoint: str = "best", device: str | torch.device = "cpu") -> TrainedGPT:
        """Loads the trained network of `best` or `last`.

        Raises:
            UserError: no such checkpoint, or a damaged one.
        """
        if checkpoint not in BY_NAME:
            raise UserError(f"a run has the checkpoints best and last, not {checkpoint!r}")
        return load_file(find_checkpoint(self.best if checkpoint == "best" else self.last), device)

    @cached_property
    def _gpt(self) -> TrainedGPT:
        return self.load()

    def generate(self, prompt: str | None = None, **options: Any) -> str:
        """Continues a prompt with the best checkpoint; options as for `TrainedGPT.generate`.

        Raises:
            UserError: an option out of its range, or an unknown character in the prompt.
        """
        return self._gpt.generate(**({} if prompt is None else {"prompt": prompt}), **options)


def load(
    checkpoint: str | Path = "best", device: str | torch.device = "cpu", runs_dir: str | Path = "runs"
) -> TrainedGPT:
    """Loads a trained network from its checkpoint: a path, or `best` or `last` of the newest run below `runs_dir`.

    Raises:
        UserError: no such file, not a checkpoint of this project, or damaged.
    """
    return load_file(find_checkpoint(checkpoint, runs_dir), device)
