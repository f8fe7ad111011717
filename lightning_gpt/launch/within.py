"""Fits a run into a budget of time: chooses network and steps by what this machine is measured to do.

A budget is turned into options before anything else reads them, so a run's config.yaml has plain numbers, which make
the same run again. Where a network is named, by a recipe, an option or a checkpoint, only the steps are chosen.
"""

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from lightning_gpt import machine
from lightning_gpt.arguments import completion
from lightning_gpt.budget import MEMBERS, MEMORISING, PLANS, Plan, duration, law
from lightning_gpt.errors import UserError
from lightning_gpt.launch import options
from lightning_gpt.launch.configuration import asks_for_help, configure
from lightning_gpt.launch.options import Given
from lightning_gpt.launch.pace import Pace
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.recipe import renamed
from lightning_gpt.launch.trial import A_FIT_OF_ITS_OWN, FIRST, Trial, try_out
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.resume import unfinished
from lightning_gpt.terminal import row

STEPS = ("trainer.max_steps", "trainer.val_check_interval")  # that a budget always chooses
UNCHANGED: Mapping[str, Any] = {"model.schedule.changes": []}  # until steps are counted anew
FEWEST_STEPS = 20  # of a plan
VALIDATING = 0.06  # share of the time for validations, samples included
FEWEST, MOST = 2, 10  # validations
TRYING = 0.02  # share of the time for the steps of a trial
TRIALS = 3  # of different plans, at most
EFFICIENCY = 0.4  # share of a large matrix product's speed that products in a step reach, until one is measured
LAYER = 0.005  # seconds of a step for all else of a block, a guess, too
COMPILED, COMPILING = (
    1.3,
    60.0,
)  # how much faster a compiled step is, and the seconds that compiling takes: guesses, too
LONG = 600.0  # seconds of a budget from which compiling is tried
SHORTEST = 4  # tokens of a block: the width of rung 9's convolution
BATCH = 8192  # tokens of a held-out batch, about
BESIDES, SAMPLES = 5.0, 1.0  # seconds of start and end, and of samples at a validation: guesses, too


@dataclass(frozen=True)
class Choice:
    """What a budget comes to.

    Attributes:
        plan: None where the network was named.
        steps: of the optimizer.
        validations: evenly spread, the last one at the end.
        accumulate: batches of a step.
        ending: seconds from the last validation to the command's end.
        most: steps that the text is long enough for; None for any number.
        held_out: batches of a validation; None for all.
        passes: over the training text, of each network.
        loss: val/loss to be expected, in nats per character of a text like Tiny Shakespeare; None without a plan.
    """

    plan: Plan | None
    steps: int
    validations: int
    accumulate: int
    ending: float
    most: int | None = None
    held_out: int | None = None
    passes: float | None = None
    loss: float | None = None

    def before(self) -> dict[str, Any]:
        """Returns the options that others may override."""
        return {} if self.plan is None or self.passes is None else self.plan.options(self.passes)

    def after(self) -> dict[str, Any]:
        """Returns the options that nothing overrides."""
        held_out = {} if self.held_out is None else {"trainer.limit_val_batches": self.held_out}
        every = self.steps // self.validations * self.accumulate  # batches
        return {"trainer.max_steps": self.steps, "trainer.val_check_interval": every, **held_out, **UNCHANGED}

    def pace(self, deadline: float) -> Pace:
        """Makes the callback that has the run end at `deadline`, see `Pace`."""
        return Pace(deadline, self.ending, self.most)

    def __str__(self) -> str:
        """Says what was chosen, and what can be expected of it."""
        if self.plan is None or self.passes is None or self.loss is None:
            return f"{self.steps:,} steps"
        plan = self.plan
        networks = f"{plan.n_member} networks" if plan.n_member > 1 else "a network"
        return (
            f"{networks} of {plan.n_layer} blocks of {plan.n_embd} channels, {self.steps:,} steps of "
            f"{plan.tokens_per_step:,} tokens: the text {self.passes:.1f} times"
        )


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
    _must_be_open(given)
    if not any(option.name == "name" for option in given):
        args = [f"--name=budget-{budget}", *args]
        given = list(options.given_options(args))
    if (saved := _of_unfinished_run(given, budget)) is not None:
        return [*typed(saved), *args, *typed({name: saved[name] for name in STEPS})], []
    choice = Chooser(args, _names_a_network(given)).choose(seconds, began)
    page = sys.stderr if any(arg.startswith("--print_config") for arg in args) else sys.stdout
    print(row("budget", f"{budget}: {choice}"), file=page)
    if choice.loss is not None:
        print(row("", f"val/loss about {choice.loss:.2f}, if the text is like Tiny Shakespeare"), file=page)
    return [*typed(choice.before()), *args, *typed(choice.after())], [choice.pace(began + seconds)]


def asked(given: Sequence[Given]) -> str | None:
    """Returns the budget that is asked for; one in a file that has its steps, too, was spent on another run."""
    spent = {option.source for option in given if option.name == STEPS[0] and option.source is not None}
    asking = [option.value for option in given if option.name == "budget" and option.source not in spent]
    return str(asking[-1]) if asking and asking[-1] not in (None, "null") else None


def typed(chosen: Mapping[str, Any]) -> list[str]:
    """Writes options as they would be typed."""
    return [f"--{name}={options.typed(value)}" for name, value in chosen.items()]


def _must_be_open(given: Sequence[Given]) -> None:
    """Refuses what a budget can't be kept with.

    Raises:
        UserError: its steps are chosen already, it goes on with a run, or on several devices.
    """
    for option in given:
        if option.name in STEPS and option.source is None:
            raise UserError(f"--budget chooses {option.name}: leave one of them out")
        if option.name == "ckpt_path" and option.value not in (None, "null"):
            raise UserError(f"--budget is for a new run: leave {option} out, or give --trainer.max_steps")
        if option.name in ("trainer.devices", "trainer.num_nodes") and str(option.value) not in ("1", "None", "null"):
            raise UserError(f"--budget is measured on one device: leave {option} out, or give --trainer.max_steps")
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("--budget is measured by one process: leave torchrun out, or give --trainer.max_steps")


def _names_a_network(given: Sequence[Given]) -> bool:
    return any(option.name in ("model.network", "init_from") and option.value not in (None, "null") for option in given)


def _of_unfinished_run(given: Sequence[Given], budget: str) -> dict[str, Any] | None:
    """Returns what the same budget came to for the run that --resume would go on with; None for no such run."""
    value = {option.name: option.value for option in given}
    if value.get("resume", "never") == "never":
        return None
    try:
        found = unfinished(Path(value.get("runs_dir", "runs")) / value["name"])
        config = read_config(found.folder / FILE) if found is not None else {}
    except UserError:
        return None  # --resume itself will say so
    if str(config.get("budget")) != budget:
        return None
    chosen = {*PLANS[0].options(0.0), *STEPS, *UNCHANGED, "trainer.precision", "trainer.limit_val_batches"}
    saved = [
        option
        for option in options.flattened(config, None)
        if option.name in chosen or option.name.startswith(("model.network.", "model.optimizer."))
    ]
    if options.problems(saved) or not set(STEPS) <= {option.name for option in saved}:
        return None
    return {option.name: option.value for option in saved}


class Chooser:
    """Chooses for one text on this machine. Plans are guessed by their arithmetic, until the best of them is tried out.

    Args:
        args: a fit's, without what is to be chosen.
        named: whether they name a network.

    Raises:
        UserError: whatever is wrong with them.
    """

    def __init__(self, args: Sequence[str], named: bool) -> None:
        self.args = list(args)
        self.named = named
        whole = [] if named else typed(PLANS[0].options(0.0) | {"data.block_size": SHORTEST})
        prepared = prepare(configure("fit", [*whole, *args, "--budget=null", *A_FIT_OF_ITS_OWN]))
        _, data, trainer = prepared.made()
        self.tokens = len(data.train_ids)
        self.held_out = len(data.val_ids)
        self.per_token = data.tokens.length.characters / data.tokens.length.tokens  # characters
        self.characters = round(self.tokens * self.per_token)
        bf16 = str(trainer.precision).startswith(("bf16", "16"))
        dtype = torch.bfloat16 if bf16 else torch.float32
        self.rate = EFFICIENCY * machine.flops(trainer.strategy.root_device, dtype)  # FLOP/s of a step
        self.accumulate = trainer.accumulate_grad_batches
        self.tried: dict[Plan | None, Trial] = {}

    def choose(self, seconds: float, began: float) -> Choice:
        """Chooses what ends `seconds` after `began`, a time of `time.perf_counter`.

        Raises:
            UserError: not one step would be done.
            KeyboardInterrupt: measuring was interrupted.
        """

        def left() -> float:
            return seconds - (time.perf_counter() - began)

        if self.named:
            self.tried[None] = try_out(self.args, FIRST + 10)
            return self.fitted(None, left())
        for _ in range(TRIALS):
            choice = self.best(left())
            plan, passes = choice.plan, choice.passes
            assert plan is not None and passes is not None
            if plan in self.tried:
                break
            self.try_out(plan, passes, min(max(round(TRYING * left() / self.trial(plan).step), 4), 50))
        return min((self.fitted(plan, left()) for plan in self.tried), key=self._loss)

    def try_out(self, plan: Plan, passes: float, steps: int) -> None:
        """Measures so many steps of a plan, with the dropout of so many passes; others are guessed from it, then.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        self.tried[plan] = trial = try_out([*typed(plan.options(passes)), *self.args], FIRST + steps)
        products = max(trial.step - self._besides_products(plan), trial.step / 4)
        self.rate = plan.flops_per_token * plan.tokens_per_step / products

    def plans(self) -> list[Plan]:
        """Returns all plans, with blocks that the text can fill."""
        longest = min(self.tokens, self.held_out) - 1
        short = max(longest // 2, SHORTEST)
        return [plan if plan.block_size <= longest else replace(plan, block_size=short) for plan in PLANS]

    def best(self, left: float) -> Choice:
        """Returns the choice of the lowest loss in the seconds that are left, by what is known so far.

        Of each plan as many networks as do not learn the text by heart.
        """
        choices = []
        for plan in [plan for plan in self.plans() if plan.fits(self.characters)] or self.plans()[:1]:
            for members in MEMBERS:
                choice = self.fitted(replace(plan, n_member=members), left)
                if not self.memorises(choice):
                    break
            choices.append(choice)
        return min(choices, key=self._loss)

    def trial(self, plan: Plan | None) -> Trial:
        """Returns what was measured of a plan, or what its arithmetic lets expect."""
        if plan in self.tried:
            return self.tried[plan]
        assert plan is not None
        return Trial(
            step=plan.flops_per_token * plan.tokens_per_step / self.rate + self._besides_products(plan),
            held_out=plan.flops_per_token / 3 * self.held_out * plan.n_member / self.rate,
            batches=max(self.held_out // BATCH, 1),
            samples=SAMPLES,
            besides=BESIDES,
            ending=0.0,
            peak_memory=0,
        )

    def fitted(self, plan: Plan | None, left: float) -> Choice:
        """Fits steps and validations of a plan into the seconds that are left.

        Raises:
            UserError: for the only network in question it is too little for one step.
        """
        trial = self.trial(plan)
        longest = VALIDATING * left / FEWEST  # seconds of a validation
        some = math.floor((longest - trial.samples) / (trial.held_out / trial.batches))
        held_out = max(some, 1) if trial.held_out + trial.samples > 2 * longest and trial.batches > 1 else None
        validation = trial.samples + trial.held_out * ((held_out or trial.batches) / trial.batches)
        validations = min(max(int(VALIDATING * left / validation), FEWEST), MOST)
        steps = int((left - trial.besides - validations * validation) / trial.step)
        most = None
        if plan is not None and plan.n_member == MEMBERS[-1] and plan.memorises(self.characters, math.inf):
            most = int(MEMORISING * self.tokens * plan.n_member / plan.tokens_per_step)
            steps = min(steps, most)
        if self.named and steps < validations:
            raise UserError("--budget is too short for this network on this machine: give it more time, or less to do")
        validations = min(validations, max(steps, 1))
        steps = max(steps // validations, 1) * validations
        choice = Choice(plan, steps, validations, self.accumulate, trial.ending, most, held_out)
        if plan is None:
            return choice
        read = steps * plan.tokens_per_step / plan.n_member  # tokens, by each network
        passes = read / self.tokens
        loss = law()(plan.parameters, read * self.per_token, self.characters, plan.n_member)
        return replace(choice, passes=passes, loss=loss)

    def _besides_products(self, plan: Plan) -> float:
        return LAYER * plan.n_layer * plan.n_member

    def memorises(self, choice: Choice) -> bool:
        """Returns whether the text would be learned by heart."""
        assert choice.plan is not None and choice.passes is not None
        return choice.plan.memorises(self.characters, choice.passes)

    def _loss(self, choice: Choice) -> tuple[bool, float]:
        """Orders choices: those that have no steps, or would memorise the text, come last."""
        assert choice.loss is not None
        return choice.steps < FEWEST_STEPS or self.memorises(choice), choice.loss
