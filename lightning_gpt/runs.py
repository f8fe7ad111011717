"""Where runs lie and which is the newest: runs/<name>/version_N/{config.yaml, checkpoints/{best,last}.ckpt}."""

import logging
from pathlib import Path
from typing import Any

import torch
import yaml

from lightning_gpt import model
from lightning_gpt.errors import UserError

BY_NAME = ("best", "last")


def find_checkpoint(checkpoint: str, runs_dir: str | Path = "runs") -> Path:
    """The path that `checkpoint` means: itself, or for `best` and `last` that file of the newest run.

    Raises:
        UserError: there is no such file.
    """
    if checkpoint not in BY_NAME:
        path = Path(checkpoint)
        if not path.is_file():
            raise UserError(f"no checkpoint at {checkpoint}: give the path of a .ckpt file, or best or last")
        return path
    found = sorted(Path(runs_dir).rglob("checkpoints/*.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(f"no run below {runs_dir}/ has a checkpoint yet: train one first, as with make train")
    path = found[-1].with_name(f"{checkpoint}.ckpt")
    if not path.is_file():
        raise UserError(f"the newest run, {path.parent.parent}, has no {path.name} yet: name another by its path")
    return path


def load(
    checkpoint: str | Path = "best", device: str | torch.device = "cpu", runs_dir: str | Path = "runs"
) -> model.TrainedGPT:
    """A trained network from its checkpoint: a path, or `best` or `last` of the newest run below `runs_dir`.

    Raises:
        UserError: no such file, not a checkpoint of this project, or damaged.
    """
    return model.load(find_checkpoint(str(checkpoint), runs_dir), device)


def new_version(home: Path) -> Path:
    """A new folder version_N in `home`; two processes that ask at once get two.

    Raises:
        UserError: it can't be made.
    """
    while True:
        taken = [int(path.name[8:]) for path in home.glob("version_*") if path.name[8:].isdigit()]
        folder = home / f"version_{max(taken, default=-1) + 1}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():
                raise UserError(f"{home} is a file: name another folder with --runs_dir or --name") from None
        except OSError as error:
            raise UserError(
                f"can't make {folder} ({error.strerror}): name a folder that can be written to with --runs_dir"
            ) from error
        else:
            return folder


def newest_last(home: Path) -> Path | None:
    """The last.ckpt that was written last, of all runs in `home`."""
    found = sorted(home.glob("version_*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def run_folder(checkpoint: Path) -> Path | None:
    """The run that a checkpoint belongs to, if it still lies where its run put it."""
    folder = checkpoint.resolve().parent
    return folder.parent if folder.name == "checkpoints" and (folder.parent / "config.yaml").is_file() else None


def run_config(folder: Path) -> dict[str, Any]:
    """The configuration that the run in `folder` saved."""
    config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return config


def logged(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """What the run in `folder` wrote for TensorBoard: for each scalar and text, (step, value); a text as bytes.

    Steps are counted from 0: what was logged after n steps has step n - 1.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # its word on every resumed run: that it leaves out what was logged behind the checkpoint
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0}).Reload()
    found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    for tag in events.Tags()["tensors"]:
        # that leaves out scalars only: of a text that was logged twice the later counts
        if texts := {event.step: text for event in events.Tensors(tag) for text in event.tensor_proto.string_val}:
            found[tag] = sorted(texts.items())
    return found
