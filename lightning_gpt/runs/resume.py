"""All rules of resuming a run: whether it may, what differs, which text, which value wins, in which folder.

Works on plain values and paths; knows nothing of Lightning, whose checkpoint is a dictionary here.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.model import checkpoint as checkpoint_file
from lightning_gpt.runs.folders import newest_last, run_folder
from lightning_gpt.runs.result import Result

# options that say how a run is begun and where it lies, not what it is: a folder may be moved, or reached otherwise
NOT_OF_THE_RUN = ("ckpt_path", "resume", "config", "name", "runs_dir")


# ---------------------------------------------------------------------------------------------------- whether it may


@dataclass(frozen=True)
class Unfinished:
    """A run that did not come to its own end.

    Attributes:
        last: its last checkpoint.
        step: optimizer steps done there.
    """

    last: Path
    step: int

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.last.parent.parent


def unfinished(home: Path) -> Unfinished | None:
    """Finds the newest run in `home`, if it did not come to its own end.

    Raises:
        UserError: its result or its checkpoint is damaged.
    """
    last = newest_last(home)
    if last is None:
        return None
    result = Result.read(last.parent.parent)
    if result is not None and result.finished:
        return None
    contents = checkpoint_file.read(last)
    if result is None and any(  # version 0.1 wrote no result.json
        isinstance(state, Mapping) and state.get("finished") for state in contents.get("callbacks", {}).values()
    ):
        return None
    return Unfinished(last, steps_done(contents, last))


def steps_done(checkpoint: Mapping[str, Any], path: Path | str) -> int:
    """Returns a checkpoint's optimizer steps.

    Raises:
        UserError: there is no such number in it.
    """
    step = checkpoint.get("global_step")
    if type(step) is not int or not 0 <= step < 2**53:
        raise UserError(f"{path} is damaged: it does not say after which step it was saved")
    return step


# ----------------------------------------------------------------------------------------------------- what differs


def differences(theirs: Mapping[str, Any], mine: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Lists what two configurations do not agree on, as `name: theirs, now mine`.

    An option that theirs lacks is younger than their run, which so had its default.
    """
    right = dict(flat(mine))
    left = {name: defaults[name] for name in right if name in defaults} | dict(flat(theirs))
    return [
        f"{name}: {left.get(name)}, now {right.get(name)}"
        for name in {**left, **right}
        if left.get(name) != right.get(name) and name not in NOT_OF_THE_RUN
    ]


def flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yields nested options as (`a.b.c`, value)."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


# -------------------------------------------------------------------------------------------------------- which text


def must_be_the_text(corpus: str, then: str, now: str, remedy: str) -> None:
    """Checks that the text of a run is the one that it was trained on.

    Args:
        corpus: its name.
        then: SHA-256 of the text that the run was trained on.
        now: SHA-256 of the text that is there now.
        remedy: what else can be done.

    Raises:
        UserError: it is another text.
    """
    if then != now:
        raise UserError(
            f"{corpus} has changed since that run began (SHA-256 {then[:12]}…, now {now[:12]}…): bring the old text "
            f"back, or {remedy}"
        )


# -------------------------------------------------------------------------------------------------- which value wins


def must_be_the_optimizer(groups: Iterable[Mapping[str, Any]], checkpoint: Mapping[str, Any]) -> None:
    """Checks that a checkpoint holds the state of an optimizer with parameter groups like these.

    Raises:
        UserError: it holds that of another, or none.
    """
    try:
        saved = [group.keys() for group in checkpoint["optimizer_states"][0]["param_groups"]]
        rates = len(checkpoint["lr_schedulers"][0]["base_lrs"])
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UserError(
            "the checkpoint has weights only, no optimizer's state to go on from: give a run's own last.ckpt"
        ) from None
    if [group.keys() | {"initial_lr"} for group in groups] != saved or rates != len(saved):
        raise UserError("the checkpoint has the state of another optimizer: leave model.optimizer as it was")


def carry_over(checkpoint: MutableMapping[str, Any], groups: Iterable[Mapping[str, Any]], lr_share: float) -> None:
    """Prepares a checkpoint's state for a configured optimizer, in place.

    The moments, the weights and the step are the checkpoint's; rates, decay, momentum and schedule are the
    configuration's: what is typed beside --ckpt_path holds.

    Args:
        checkpoint: as Lightning reads it.
        groups: parameter groups of the optimizer as configured, see `must_be_the_optimizer`.
        lr_share: share of the full learning rate at the checkpoint's step, by the configured schedule.
    """
    groups = list(groups)
    for old, new in zip(checkpoint["optimizer_states"][0]["param_groups"], groups, strict=True):
        old.update({name: value for name, value in new.items() if name not in ("params", "fused")})
        old.update(initial_lr=new["lr"], lr=new["lr"] * lr_share)
    checkpoint["lr_schedulers"][0]["base_lrs"] = [group["lr"] for group in groups]


# ------------------------------------------------------------------------------------------------------ in which folder


def goes_on_in(checkpoint: Path, home: Path) -> Path | None:
    """Returns the run's folder that training from `checkpoint` goes on in; None: it begins a new one in `home`.

    Only its own last.ckpt goes on with a run: from any other checkpoint a new run begins.
    """
    folder = run_folder(checkpoint)
    if checkpoint.name != "last.ckpt" or folder is None or folder.parent != home.resolve():
        return None
    return folder


def relocated(state: MutableMapping[str, Any], folder: str) -> None:
    """Rewrites the paths in a ModelCheckpoint's state to lie in `folder`, in place.

    Lightning forgets the best score where a run's folder was moved or is reached by another path; and it deletes the
    best checkpoint's file when there is a better one, which must be none outside.
    """

    def moved(path: Any) -> Any:
        return str(Path(folder) / Path(path).name) if isinstance(path, str) and path else path

    if not isinstance(state.get("dirpath"), str):
        return
    state["dirpath"] = folder
    for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[name] = moved(state.get(name, ""))
    if isinstance(state.get("best_k_models"), Mapping):
        state["best_k_models"] = {moved(path): score for path, score in state["best_k_models"].items()}
