"""safetensors: the weights of any rung under their own names, with the checkpoint's record in the file's header.

It holds all that a checkpoint holds for use, so that it can be read back: whatever reads safetensors has the weights.
"""

import json
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError, in_a_line
from lightning_gpt.exchange.libraries import library
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model.checkpoint import WEIGHTS
from lightning_gpt.model.record import KEY
from lightning_gpt.model.trained import of_checkpoint

FILE = "model.safetensors"
USAGE = f"""
`{FILE}` holds the weights, under the names that lightning-gpt gives them, and the tokenizer in its header:

```
lightning-gpt import {FILE} --to runs/imported
lightning-gpt generate --ckpt_path best
```
"""


def write(gpt: TrainedGPT, folder: Path) -> str:
    """Writes model.safetensors; returns how to use it.

    Raises:
        UserError: the library is missing.
    """
    save(folder / FILE, gpt.network.state_dict(), {KEY: json.dumps(gpt.record.as_dict())})
    return USAGE


def read(path: Path) -> TrainedGPT:
    """Reads what `write` wrote.

    Raises:
        UserError: the library is missing, or the file is another program's, or damaged.
    """
    weights, metadata = load(path)
    if KEY not in metadata:
        raise UserError(
            f"{path} holds weights by themselves, no network and no tokenizer: give a folder of Hugging Face's, or "
            "what lightning-gpt export --to safetensors wrote"
        )
    try:
        record = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its record of the network can't be read") from error
    state = {WEIGHTS + name: weight for name, weight in weights.items()}
    return of_checkpoint({KEY: record, "state_dict": state}, path)


def save(path: Path, weights: dict[str, Any], metadata: dict[str, str]) -> None:
    """Writes a file of tensors by name.

    Raises:
        UserError: the library is missing.
    """
    plain = {name: weight.detach().contiguous() for name, weight in weights.items()}
    library("safetensors.torch").save_file(plain, path, {"format": "pt", **metadata})


def load(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Reads a file of tensors: these by name, and the header's texts.

    Raises:
        UserError: the library is missing, or it is no such file.
    """
    safetensors = library("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no dictionary
            return weights, file.metadata() or {}
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{path} can't be read as safetensors ({in_a_line(error)}): it is truncated, damaged or no such file"
        ) from error
