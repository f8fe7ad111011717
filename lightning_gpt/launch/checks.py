"""Refuses Trainer options that have no meaning here: each works, or is refused in one line with its remedy.

Types are checked before (see `options`); here are values. The rest is the machine's and Lightning's to say.
"""

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from lightning_gpt.errors import did_you_mean
from lightning_gpt.training.sharding import NAME, REFUSED

MOST = 2**53  # steps or batches: up to here a float counts them exactly
ENDLESS = "blocks are drawn without end, so there are no epochs"

# options that can have one meaning only: the values that mean it, and why there is no other
FIXED: dict[str, tuple[tuple[Any, ...], str]] = {
    "fast_dev_run": ((False, 0), "a short trial is --trainer.max_steps 5 --trainer.val_check_interval 5"),
    "overfit_batches": (
        (0, 0.0),
        "blocks are drawn without end; to memorise a little text, give a little --data.corpus",
    ),
    "limit_train_batches": ((None, 1.0), "blocks are drawn without end; set --trainer.max_steps"),
    "max_epochs": ((-1, None), f"{ENDLESS}; set --trainer.max_steps"),
    "min_epochs": ((None, 0), f"{ENDLESS}; set --trainer.min_steps"),
    "check_val_every_n_epoch": ((None,), f"{ENDLESS}; set --trainer.val_check_interval, in steps"),
    "reload_dataloaders_every_n_epochs": ((0,), ENDLESS),
    "use_distributed_sampler": ((False,), "the blocks know their rank"),
    "sync_batchnorm": ((False,), "no network here has a batch norm"),
    "barebones": (
        (False,),
        "a run logs, samples and saves; to measure a bare step: lightning-gpt bench --measure step",
    ),
    "default_root_dir": ((None,), "runs lie in --runs_dir"),
    "model_registry": ((None,), "checkpoints lie in the run's folder"),
}


def at_least(least: float, *also: Any) -> Callable[[Any], bool]:
    """Makes a predicate for finite numbers of at least so much, and some other values."""
    return lambda value: value in also or (is_number(value) and least <= value <= sys.float_info.max)


def is_number(value: Any) -> bool:
    """Returns whether this is a number, and no switch."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_part(value: Any) -> bool:
    """Returns whether this is a number of batches, or a share of them; or left to Lightning."""
    return value is None or 0.0 < value <= 1.0 or (1.0 < value <= MOST and value % 1.0 == 0.0)


def are_devices(value: Any) -> bool:
    """Returns whether this names devices: auto, a number of them, or which."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(x, int) and x >= 0 for x in value)
    if isinstance(value, str):
        return value == "auto" or bool(re.fullmatch(r"-1|[1-9]\d{0,3}|\d{1,3}(\s*,\s*\d{1,3})+,?|\d{1,3},", value))
    return value == -1 or 1 <= value <= 9999


def is_duration(value: Any) -> bool:
    """Returns whether this is a time as Lightning's Timer takes it."""
    return not isinstance(value, str) or bool(re.fullmatch(r"\d+:\d\d:\d\d:\d\d", value))


ACCELERATORS = ("auto", "gpu", *sorted(AcceleratorRegistry.available_accelerators()))
STRATEGIES = (
    "auto",
    *(name for name in StrategyRegistry.available_strategies() if not name.startswith(tuple(REFUSED))),
)

# what an option's value must be, and how that is said
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_steps": (lambda steps: steps == -1 or 1 <= steps <= MOST, "at least 1, or -1 for no end"),
    "min_steps": (at_least(0, None), "at least 0"),
    "max_time": (is_duration, "a time as DD:HH:MM:SS"),
    "accumulate_grad_batches": (at_least(1), "at least 1"),
    "gradient_clip_val": (at_least(0, None), "0 (off) or above"),
    "gradient_clip_algorithm": (lambda name: name in (None, "norm", "value"), "norm or value"),
    "val_check_interval": (
        lambda every: isinstance(every, int) and every >= 1,
        "a whole number of batches, at least 1",
    ),
    "limit_val_batches": (is_part, "a number of batches of at least 1, or a share of them above 0"),
    "limit_test_batches": (is_part, "a number of batches of at least 1, or a share of them above 0"),
    "limit_predict_batches": (is_part, "a number of batches of at least 1, or a share of them above 0"),
    "num_sanity_val_steps": (at_least(-1, None), "at least 0, or -1 for all"),
    "log_every_n_steps": (at_least(0, None), "at least 0 (never)"),
    "num_nodes": (lambda nodes: 1 <= nodes <= 9999, "from 1 to 9,999"),
    "devices": (are_devices, "auto, a number of devices, or a list of their numbers"),
}


def trainer_problems(options: Mapping[str, Any]) -> list[str]:
    """Lists what is wrong with the Trainer's options, each in a line.

    Args:
        options: the Trainer's, by name, parsed.
    """
    found = [
        f"trainer.{name}: {why}"
        for name, (values, why) in FIXED.items()
        if name in options
        and not any(options[name] is x or (options[name] == x and type(options[name]) is type(x)) for x in values)
    ]
    found += [
        f"trainer.{name} must be {said}, not {options[name]}"
        for name, (holds, said) in RANGES.items()
        if name in options and not holds(options[name])
    ]
    for name, known in (("accelerator", ACCELERATORS), ("strategy", STRATEGIES)):
        value = options.get(name)
        if refused := [why for begin, why in REFUSED.items() if name == "strategy" and str(value).startswith(begin)]:
            found += refused
        elif isinstance(value, str) and value not in known:
            shown = f"there are {', '.join(x for x in known if '_' not in x or x == NAME)}"
            found.append(f"there is no trainer.{name} {value!r}; {did_you_mean(value, known, shown)}")
    if options.get("strategy") == NAME and str(options.get("precision")).startswith("16"):
        found.append(f"trainer.precision {options['precision']}: {NAME} takes 32-true or bf16-mixed")
    least, most = options.get("min_steps"), options.get("max_steps")
    if not found and least and most is not None and 0 < most < least:
        found.append(f"trainer.min_steps {least} is above max_steps {most}: lower it, or leave it out")
    every, accumulate = options.get("val_check_interval"), options.get("accumulate_grad_batches", 1)
    if not found and isinstance(every, int) and every % accumulate:
        found.append(
            f"trainer.val_check_interval {every} counts batches and must be a multiple of "
            f"accumulate_grad_batches {accumulate}: a checkpoint saves no half-accumulated gradient"
        )
    return found
