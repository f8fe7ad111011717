"""Fits a run into a budget of time: replaces the budget among a fit's arguments by what was chosen for it.

A budget is turned into options before anything else reads them, so a run's config.yaml has plain numbers, which make
the same run again. Where a network is named, by a recipe, an option or a checkpoint, only the steps are chosen.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from lightning_gpt.arguments import completion
from lightning_gpt.budget import PLANS, duration
from lightning_gpt.errors import UserError
from lightning_gpt.launch import options
from lightning_gpt.launch.choice import LIMIT, STEPS, UNCHANGED, Chooser
from lightning_gpt.launch.configuration import asks_for_help, configure
from lightning_gpt.launch.options import Given
from lightning_gpt.launch.recipe import renamed
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.resume import unfinished
from lightning_gpt.terminal import row

SIZES = (  # that go with the network which a budget chooses
    "data.batch_size", "trainer.accumulate_grad_batches",
    *(f"model.network.{name}" for name in ("n_layer", "n_head", "n_embd", "n_member")),
)  # fmt: skip


def within_budget(args: list[str], spent: float = 0.0) -> tuple[list[str], list[Callback]]:
    """Replaces the budget among a fit's arguments by options that keep it, and says which; else returns them as given.

    The callbacks that are returned, too, keep it while the machine's speed changes.

    Args:
        args: as typed.
        spent: seconds of the budget that are gone.

    Raises:
        UserError: the budget can't be read or kept, or whatever is wrong with the arguments.
        KeyboardInterrupt: measuring was interrupted.
    """
    began = time.perf_counter() - spent
    if completion.wanted() or asks_for_help(args):
        return args, []
    args = list(renamed(args))
    given = list(options.given_options(args))
    budget = asked(given)
    if budget is None:
        return args, []
    seconds = duration(budget)
    if problems := options.problems(given):
        raise UserError.of(problems)
    named = _names_a_network(given)
    _must_be_open(given, named)
    args = [f"--name=budget-{budget}", "--trainer.devices=1", *args]  # unless others are given
    if (going_on := _going_on(args, budget)) is not None:
        return going_on, []
    to_print = [arg for arg in args if arg.startswith("--print_config")]
    choice = Chooser([arg for arg in args if arg not in to_print], named).choose(seconds, began)
    page = sys.stderr if to_print else sys.stdout
    print(row("budget", f"{budget}: {choice}"), file=page)
    if choice.loss is not None:
        print(row("", f"val/loss about {choice.loss:.2f}, if the text is like Tiny Shakespeare"), file=page)
    if choice.held_out is not None:
        said = f"val/loss is of the first {choice.held_out:,} held-out batches: all would take too long"
        print(row("", said), file=page)
    before, after = options.as_arguments(choice.options), options.as_arguments(choice.after())
    return [*before, *args, *after], [choice.pace(began + seconds)]


def asked(given: Sequence[Given]) -> str | None:
    """Returns the budget that is asked for; one in a file that has steps of its own, too, was spent on another run."""
    files = {option.source for option in given if option.name == "budget" and option.source is not None}
    spent = {file for file in files if any(o.name == STEPS[0] for o in options.flattened(read_config(file), file))}
    asking = [option.value for option in given if option.name == "budget" and option.source not in spent]
    return str(asking[-1]) if asking and asking[-1] not in (None, "null") else None


def _must_be_open(given: Sequence[Given], named: bool) -> None:
    """Refuses what a budget can't be kept with.

    Raises:
        UserError: its steps are chosen already, or sizes of a network that is not named; it is for lines with answers,
            goes on with a run, or on several devices.
    """
    for option in given:
        if option.name in STEPS and option.source is None:
            raise UserError(f"--budget chooses {option.name}: leave one of them out")
        if not named and option.name in SIZES:
            raise UserError(f"--budget chooses {option}: leave it out, or name a network, too, as --model.network GPT")
        if not named and option.name == "data.answer_after" and option.value not in (None, "null"):
            raise UserError(f"--budget chooses for running text: with {option} name a network, as --model.network GPT")
        if option.name == "ckpt_path" and option.value not in (None, "null"):
            raise UserError(f"--budget is for a new run: leave {option} out, or give --trainer.max_steps")
        if option.name in ("trainer.devices", "trainer.num_nodes") and str(option.value) not in ("1", "None", "null"):
            raise UserError(f"--budget is measured on one device: leave {option} out, or give --trainer.max_steps")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("--budget is measured by one process: leave torchrun out, or give --trainer.max_steps")


def _names_a_network(given: Sequence[Given]) -> bool:
    return any(option.name in ("model.network", "init_from") and option.value not in (None, "null") for option in given)


def _going_on(args: list[str], budget: str) -> list[str] | None:
    """Returns the arguments with which a run of the same budget goes on that was interrupted; None: a new one begins.

    Raises:
        UserError: whatever is wrong with them, or no answer to --resume ask.
    """
    value = {option.name: option.value for option in options.given_options(args)}
    saved = _of_unfinished_run(value, budget)
    if saved is None:
        return None
    chosen = {name: saved[name] for name in (*STEPS, *UNCHANGED, LIMIT) if name in saved}
    whole = [*options.as_arguments(saved), *args, *options.as_arguments(chosen)]
    if value["resume"] == "ask" and configure("fit", whole).checkpoint is None:  # which asks
        return None
    return [*whole, "--resume=auto"]


def _of_unfinished_run(value: Mapping[str, Any], budget: str) -> dict[str, Any] | None:
    """Returns what the same budget came to for the run that --resume would go on with; None for no such run."""
    if value.get("resume", "never") == "never":
        return None
    try:
        found = unfinished(Path(value.get("runs_dir", "runs")) / value["name"])
        config = read_config(found.folder / FILE) if found is not None else {}
    except UserError:
        return None  # --resume itself will say so
    if str(config.get("budget")) != budget:
        return None
    chosen = {*PLANS[0].options(0.0, 1.0), *STEPS, *UNCHANGED, "trainer.precision", LIMIT}
    saved = [
        option
        for option in options.flattened(config, None)
        if option.name in chosen or option.name.startswith(("model.network.", "model.optimizer."))
    ]
    if options.problems(saved) or not set(STEPS) <= {option.name for option in saved}:
        return None
    return {option.name: option.value for option in saved}
