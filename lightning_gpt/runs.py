"""Where runs lie and which is the newest: runs/<name>/version_N/{config.yaml, checkpoints/{best,last}.ckpt}."""

from pathlib import Path

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


def run_folder(checkpoint: Path) -> Path | None:
    """The run that a checkpoint belongs to, if it still lies where its run put it."""
    folder = checkpoint.resolve().parent
    return folder.parent if folder.name == "checkpoints" and (folder.parent / "config.yaml").is_file() else None
