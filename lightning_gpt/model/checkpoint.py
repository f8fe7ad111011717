"""Reads and writes checkpoint files safely. Knows nothing of Lightning. What a checkpoint holds: see `record`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lightning_gpt.errors import UserError, in_a_line
from lightning_gpt.files import must_not_swell, replacing
from lightning_gpt.ladder import Network
from lightning_gpt.ladder.aliases import modernised_key
from lightning_gpt.terminal import visible

WEIGHTS = "net."  # the network's name in the LightningModule


def must_hold(checkpoint: Mapping[str, Any], network: Network, path: str | Path) -> None:
    """Checks that the weights in a checkpoint are those of a network, by name and shape, and finite.

    Raises:
        UserError: they are not.
    """
    expected = {WEIGHTS + name: weight.shape for name, weight in network.state_dict().items()}
    weights = checkpoint.get("state_dict")
    if not isinstance(weights, dict) or expected != {
        name: weight.shape if is_dense(weight) else None for name, weight in weights.items()
    }:
        raise UserError(f"{path} is damaged: its weights do not fit the network it names")
    must_be_finite({name.removeprefix(WEIGHTS): weight for name, weight in weights.items()}, path)


def must_be_finite(weights: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Checks weights, by their names, that came from `path`.

    Raises:
        UserError: some are NaN or infinite.
    """
    wrong = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(
            f"{path} holds weights that are NaN or infinite, in {visible(wrong[0])}{more}: take an earlier checkpoint"
        )


def is_dense(value: Any) -> bool:
    """Accepts a tensor as weights are: of floating-point numbers, each of which has its own place in memory.

    Of a tensor that is repeated (stride 0) a small file could make a large one.
    """
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type != "meta"
        and value.is_floating_point()
        and value.untyped_storage().nbytes() >= value.nbytes
    )


def read(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint file, to the CPU; tensors and plain values only, so that no code in it can run.

    Raises:
        UserError: missing, truncated, not a checkpoint, or holding more than plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}: give the path of a .ckpt file, or best or last")
    try:
        must_not_swell(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can raise anything
        raise UserError(
            f"{path} can't be read as a checkpoint; it is truncated, damaged or not one ({in_a_line(error)})"
        ) from error
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}")
    if isinstance(weights := checkpoint.get("state_dict"), dict):
        checkpoint["state_dict"] = {modernised_key(str(key)): weight for key, weight in weights.items()}
    return checkpoint


def write(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Saves the checkpoint whole or not at all; an older file at `path` stays good until the new one is.

    Raises:
        UserError: no space, or no right to write.
    """
    try:
        with replacing(path) as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
        raise UserError(
            f"can't save {path} ({getattr(error, 'strerror', None) or str(error).splitlines()[0]}): "
            "make room or name another folder with --runs_dir; what was saved before is untouched"
        ) from error
