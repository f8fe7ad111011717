"""Finds runs on the disk: runs/<name>/version_N/{config.yaml, result.json, checkpoints/{best,last}.ckpt, film/}."""

from collections.abc import Iterable
from pathlib import Path

from lightning_gpt.errors import UserError

BY_NAME = ("best", "last")
EVENTS = "events.out.tfevents."  # a file's name goes on with seconds.host.process.number
PAGE = "page.html"  # of the command page, in a run's folder


def find_checkpoint(checkpoint: str | Path, runs_dir: str | Path = "runs") -> Path:
    """Returns the path that `checkpoint` means: itself, or for `best` and `last` that file of the newest run.

    Raises:
        UserError: there is no such file.
    """
    if str(checkpoint) not in BY_NAME:
        path = Path(checkpoint)
        if not path.is_file():
            raise UserError(f"no checkpoint at {checkpoint}: give the path of a .ckpt file, or best or last")
        return path
    found = by_time(Path(runs_dir).rglob("checkpoints/*.ckpt"))
    if not found:
        raise UserError(f"no run below {runs_dir}/ has a checkpoint yet: train one first, as with make train")
    path = found[-1].with_name(f"{checkpoint}.ckpt")
    if not path.is_file():
        raise UserError(f"the newest run, {path.parent.parent}, has no {path.name} yet: name another by its path")
    return path


def new_version(home: Path) -> Path:
    """Makes a new folder version_N in `home`; two processes that call it at once get two.

    Raises:
        UserError: it can't be made.
    """
    while True:
        taken = [int(path.name[8:]) for path in home.glob("version_*") if path.name[8:].isdecimal()]
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
    """Returns the last.ckpt that was written last, of all runs in `home`."""
    found = by_time(home.glob("version_*/checkpoints/last.ckpt"))
    return found[-1] if found else None


def newest_run(runs_dir: str | Path = "runs") -> Path:
    """Returns the folder of the run in or below `runs_dir` that was written to last; it may have no checkpoint yet.

    Raises:
        UserError: there is none.
    """
    found = by_time(Path(runs_dir).rglob(f"{EVENTS}*"))
    if not found:
        raise UserError(f"no run in {runs_dir}/ yet: begin one first, as with make train, or name another folder")
    return found[-1].parent


def run_folder(checkpoint: Path) -> Path | None:
    """Returns the run's folder that a checkpoint lies in, if it still lies where its run saved it."""
    folder = checkpoint.resolve().parent
    return folder.parent if folder.name == "checkpoints" else None


def film_frame(folder: Path, step: int) -> Path:
    """Returns the path of the weights that a run keeps of a step."""
    return folder / "film" / f"step_{step:07}.ckpt"


def film_frames(folder: Path) -> dict[int, Path]:
    """Finds the weights that a run has kept, by step, the earliest first."""
    numbers = {path.stem.removeprefix("step_"): path for path in (folder / "film").glob("step_*.ckpt")}
    return {int(number): numbers[number] for number in sorted(numbers) if number.isdecimal()}


def by_time(paths: Iterable[Path]) -> list[Path]:
    """Sorts the files among `paths` by when they were written; a dangling link is no file."""
    return sorted((path for path in paths if path.is_file()), key=lambda path: path.stat().st_mtime)
