"""Fetches and publishes corpora as artifacts of Weights & Biases. Imports wandb only then."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError, in_a_line

ARTIFACT = "wandb:"  # before an artifact's name
VERSION = re.compile(r":v[0-9]+$")  # of an artifact that never changes; any other alias may move


def fetched_artifact(name: str, data_dir: Path, fetch: bool = True) -> Path:
    """Returns the folder of an artifact's files in `data_dir`, fetched if need be.

    Args:
        name: `wandb:ENTITY/PROJECT/NAME:VERSION`, without what W&B knows from its own settings.
        data_dir: the folder that sources are saved in.
        fetch: whether W&B may be asked; else what was fetched before is all that there is.

    Raises:
        UserError: no wandb here, no such artifact, or W&B can't be reached.
    """
    wanted = name.removeprefix(ARTIFACT)
    if not re.fullmatch(r"([\w.-]+/){0,2}[\w.-]+(:[\w.-]+)?", wanted) or ".." in wanted:
        raise UserError(f"{name[:80]!r} is no artifact's name: type wandb:ENTITY/PROJECT/NAME:VERSION")
    folder = data_dir / "wandb" / wanted.replace(":", "-")
    if folder.is_dir() and (VERSION.search(wanted) or not fetch):
        return folder
    if not fetch:
        raise UserError(f"the artifact {wanted} is not here: fetch it by lightning-gpt data --corpus {name}")
    wandb = _wandb()
    part = folder.with_name(f".{folder.name}.part")
    try:
        artifact = wandb.Api().artifact(wanted if ":" in wanted else f"{wanted}:latest")
        artifact.download(root=str(part))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except Exception as error:  # of whatever lies between here and there
        shutil.rmtree(part, ignore_errors=True)
        raise UserError(f"can't fetch the artifact {wanted} ({in_a_line(error)}): is `wandb login` done?") from error
    return folder


def publish(folder: Path, name: str, metadata: Mapping[str, Any]) -> str:
    """Logs the files of a folder as an artifact; returns the name that it has there.

    Entity, project and mode are W&B's own to know, from `WANDB_ENTITY`, `WANDB_PROJECT`, `WANDB_MODE` or its settings.

    Raises:
        UserError: no wandb here, or W&B can't be reached.
    """
    wandb = _wandb()
    artifact = wandb.Artifact(re.sub(r"[^\w.-]+", "-", name)[:128], type="dataset", metadata=dict(metadata))
    try:
        artifact.add_dir(str(folder))
        with wandb.init(job_type="data", config=dict(metadata)) as run:
            run.log_artifact(artifact)
    except Exception as error:  # as above
        raise UserError(f"can't publish {name} ({in_a_line(error)}): is `wandb login` done?") from error
    return str(artifact.name)


def _wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        raise UserError("artifacts of W&B need a package that is not installed: pip install wandb") from error
    return wandb
