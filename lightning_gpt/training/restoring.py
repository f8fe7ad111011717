"""Checks what a checkpoint holds for a fit to go on with, before Lightning restores it. Nothing in the file is trusted.

What is expected is made anew (a Trainer's counters, the optimizer's state after one step without memory), and only what
has its form is taken from the checkpoint; what nothing here expects is dropped.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from torch import Tensor
from torch.optim import Optimizer

from lightning_gpt.errors import UserError
from lightning_gpt.model.checkpoint import is_dense
from lightning_gpt.model.record import Check, is_count, is_text, or_none
from lightning_gpt.runs.resume import must_be_the_optimizer, steps_done

LARGEST = 2**53  # of a counter: whole numbers up to here are exact in every type


def prepare_to_restore(
    checkpoint: MutableMapping[str, Any],
    path: Path | str,
    trainer: Trainer,
    optimizer: Optimizer,
    expected: Mapping[int, Mapping[str, Tensor]] | None,
) -> None:
    """Reduces a checkpoint to what a fit restores, in place.

    Args:
        checkpoint: as it was read from `path`.
        path: its file.
        trainer: that will restore it.
        optimizer: as configured, over parameters that may be without memory.
        expected: see `state_after_a_step`; None for an optimizer of the user's own, which says itself what it takes.

    Raises:
        UserError: something is missing or can't be true; or it is the state of another optimizer, or none.
    """
    step = steps_done(checkpoint, path)
    must_be_the_optimizer(optimizer.param_groups, checkpoint)
    part = "loops"
    try:
        loops = fitted(checkpoint["loops"]["fit_loop"], trainer.fit_loop.state_dict())
        if loops["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]["completed"] != step:
            raise ValueError("it counts other steps")
        if loops["epoch_loop.batch_progress"]["is_last_batch"] or loops["epoch_progress"]["current"]["processed"]:
            raise ValueError("it has come to an end that blocks do not have")
        checkpoint["loops"] = {"fit_loop": loops}
        part = "callbacks"
        checkpoint["callbacks"] = dict(_states(checkpoint["callbacks"], trainer.callbacks))  # type: ignore[attr-defined]
        part = "optimizer"
        plugin = trainer.precision_plugin
        name, scale = type(plugin).__qualname__, plugin.state_dict()
        if name in checkpoint and not checkpoint["optimizer_states"][0]["state"]:
            expected = None  # 16-mixed skips steps until its scale is found
        checkpoint["optimizer_states"] = [_of_optimizer(checkpoint["optimizer_states"], optimizer, expected)]
        part = "schedule"
        checkpoint["lr_schedulers"] = [_of_schedule(checkpoint["lr_schedulers"], len(optimizer.param_groups))]
        part = "precision"
        if scale and name in checkpoint:
            checkpoint[name] = fitted(checkpoint[name], scale)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RuntimeError, OverflowError) as error:
        raise UserError(f"{path} is damaged: its state of the {part} can't be restored") from error
    for other in checkpoint.keys() & {"native_amp_scaling_state", "hyper_parameters"}:
        del checkpoint[other]  # which Lightning would act on, and this project does not write


def state_after_a_step(optimizer: Optimizer) -> dict[int, dict[str, Tensor]]:
    """Makes one step and returns each parameter's state, by its number; of parameters on the meta device, no memory."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return state


def fitted(found: Any, expected: Any) -> Any:
    """Returns what was found, as far as something like it is expected: dictionaries by their keys, numbers by type.

    Raises:
        ValueError, KeyError, TypeError: something is missing, or of another kind.
    """
    if isinstance(expected, Mapping):
        return {name: fitted(found[name], value) for name, value in expected.items()}
    if isinstance(expected, bool) or expected is None:
        holds = type(found) is type(expected)
    elif isinstance(expected, int):
        holds = is_count(found) and found < LARGEST
    else:
        holds = type(expected) is float and type(found) is float and math.isfinite(found)
    if not holds:
        raise ValueError(f"{found!r:.40} is no {type(expected).__name__}")
    return found


# ---------------------------------------------------------------------------------- the optimizer and its schedule


def _of_optimizer(
    states: Any, optimizer: Optimizer, expected: Mapping[int, Mapping[str, Tensor]] | None
) -> dict[str, Any]:
    (saved,) = states
    groups = optimizer.state_dict()["param_groups"]
    for mine, theirs in zip(groups, saved["param_groups"], strict=True):
        if theirs["params"] != mine["params"] or theirs.get("fused") not in (None, True, False):
            raise ValueError("its groups are others")
    if expected is not None:
        state = saved["state"]
        if state.keys() != expected.keys() or any(
            state[i].keys() != values.keys() or not all(_alike(state[i][name], x) for name, x in values.items())
            for i, values in expected.items()
        ):
            raise ValueError("its values do not fit the parameters")
    return {"state": saved["state"], "param_groups": saved["param_groups"]}


def _alike(found: Any, expected: Tensor) -> bool:
    return is_dense(found) and found.shape == expected.shape and bool(torch.isfinite(found).all())


def _of_schedule(states: Any, groups: int) -> dict[str, Any]:
    (saved,) = states
    rates = {name: [fitted(rate, 0.0) for rate in saved[name]] for name in ("base_lrs", "_last_lr")}
    if any(len(values) != groups for values in rates.values()):
        raise ValueError("its rates are of other groups")
    counters = {name: fitted(saved[name], 0) for name in ("last_epoch", "_step_count")}
    return {**rates, **counters, "lr_lambdas": [None] * groups}


# ------------------------------------------------------------------------------------------------------- callbacks


def is_seconds(value: Any) -> bool:
    """Accepts a duration."""
    return type(value) is float and 0 <= value < math.inf


def is_loss(value: Any) -> bool:
    """Accepts a loss, which may be infinite as long as there was none."""
    return type(value) is float and not math.isnan(value)


def is_score(value: Any) -> bool:
    """Accepts a metric's value, as Lightning keeps it."""
    return is_dense(value) and value.ndim == 0 and not bool(value.isnan())


def is_place(value: Any) -> bool:
    """Accepts the path of a checkpoint, or none: Lightning deletes the best one's file when there is a better one."""
    return is_text(value) and "\0" not in value and (value == "" or Path(value).name.endswith(".ckpt"))


STATES: dict[type[Callback], dict[str, Check]] = {  # of Lightning's own callbacks; this project's say it themselves
    ModelCheckpoint: {
        "dirpath": or_none(is_text),
        "best_model_score": or_none(is_score),
        "best_model_path": is_place,
        "kth_value": is_score,
        "kth_best_model_path": is_place,
        "best_k_models": lambda scores: all(is_place(path) and is_score(score) for path, score in scores.items()),
        "last_model_path": is_place,
    },
    Timer: {"time_elapsed": lambda times: all(isinstance(x, int | float) and 0 <= x < 1e9 for x in times.values())},
}


def _states(saved: Mapping[str, Any], callbacks: Iterable[Callback]) -> Iterator[tuple[str, Any]]:
    """Yields the states of the callbacks that are here, each checked: by `STATE` of its class, or `STATES`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: one can't be true.
    """
    for callback in callbacks:
        state = saved.get(callback.state_key)
        if not state:
            continue
        lightnings = next((checks for kind, checks in STATES.items() if isinstance(callback, kind)), None)
        checks: dict[str, Check] | None = getattr(callback, "STATE", lightnings)
        if checks is None:  # one of the user's own knows what it takes
            yield callback.state_key, state
            continue
        for name, check in checks.items():
            if not check(state[name]):
                raise ValueError(f"{name} of {type(callback).__name__} can't be true")
        yield callback.state_key, {name: state[name] for name in checks}
