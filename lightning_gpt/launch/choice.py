"""Chooses what to train in a time: network, steps and validations, by what this machine is measured to do."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lightning_gpt import machine
from lightning_gpt.budget import MEMBERS, PLANS, Plan, law
from lightning_gpt.errors import UserError
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.options import as_arguments, given_options
from lightning_gpt.launch.pace import Pace
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.trial import A_FIT_OF_ITS_OWN, FIRST, Trial, try_out

STEPS = ("trainer.max_steps", "trainer.val_check_interval")  # that a budget always chooses
LIMIT = "trainer.limit_val_batches"  # that it may
UNCHANGED: Mapping[str, Any] = {"model.schedule.changes": []}  # until steps are counted anew
FEWEST_STEPS = 20  # of a plan
VALIDATING = 0.06  # share of the time for validations, samples included
FEWEST, MOST = 2, 10  # validations
TRYING = 0.02  # share of the time for the steps of a trial
LONGEST_TRIAL = 0.1  # share of the time after which no more of them are begun
TRIALS = 3  # of different plans, at most
EFFICIENCY = 0.4  # share of a large matrix product's speed that products in a step reach, a guess
LAYER = 0.005  # seconds of a step for all else of a block, a guess, too; a trial corrects what is more of a step
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
        most: steps after which it would learn the text by heart; None for any number.
        held_out: batches of a validation; None for all.
        passes: over the training text, of each network.
        loss: val/loss to be expected of a text like Tiny Shakespeare, in nats per token; None without a plan.
        options: of the plan, which others may override.
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
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cut(self) -> bool:
        """Whether the text is too short for the time."""
        return self.most is not None and self.steps + self.validations > self.most

    def after(self) -> dict[str, Any]:
        """Returns the options that nothing overrides."""
        held_out = {} if self.held_out is None else {LIMIT: self.held_out}
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
        whole = [] if named else as_arguments(PLANS[0].options(0.0, 1.0) | {"data.block_size": SHORTEST})
        prepared = prepare(configure("fit", [*whole, *args, "--budget=null", *A_FIT_OF_ITS_OWN]))
        _, data, trainer = prepared.made()
        self.tokens = len(data.train_ids)
        self.held_out = len(data.val_ids)
        sized = any(option.name == "data.block_size" for option in given_options(self.args))
        self.block_size = data.block_size if sized else None
        self.per_token = data.tokens.length.characters / data.tokens.length.tokens  # characters
        self.characters = round(self.tokens * self.per_token)
        dtypes = {"16": torch.float16, "bf": torch.bfloat16}
        dtype = dtypes.get(str(trainer.precision)[:2], torch.float32)
        self.rate = EFFICIENCY * machine.flops(trainer.strategy.root_device, dtype)  # FLOP/s of a step
        self.layer = LAYER
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
            self.tried[None] = try_out(self.args, FIRST + 10, LONGEST_TRIAL * seconds)
            choice = self.fitted(None, left())
        else:
            for _ in range(TRIALS):
                choice = self.best(left())
                plan, passes = choice.plan, choice.passes
                assert plan is not None and passes is not None
                if plan in self.tried or (self.tried and choice.steps < FEWEST_STEPS):
                    break
                steps = min(max(round(TRYING * left() / self.trial(plan).step), 4), 50)
                self.try_out(plan, passes, steps, LONGEST_TRIAL * seconds)
            choice = min((self.fitted(plan, left()) for plan in self.tried), key=self._order)
        if choice.steps == 0:
            raise UserError("--budget is too short for this text and network on this machine: give it more time")
        return choice

    def try_out(self, plan: Plan, passes: float, steps: int, longest: float = math.inf) -> None:
        """Measures so many steps of a plan, with the dropout of so many passes; others are guessed from it, then.

        Args:
            plan: to measure.
            passes: over the text.
            steps: of the optimizer.
            longest: seconds after which no more steps are begun.

        Raises:
            UserError: whatever is wrong with its options, or too little memory.
            KeyboardInterrupt: it was interrupted.
        """
        self.tried[plan] = trial = try_out(
            [*as_arguments(plan.options(passes, self.characters)), *self.args], FIRST + steps, longest
        )
        products, layers = self._guessed(plan)
        if products > layers:
            self.rate *= products / max(trial.step - layers, trial.step / 4)
        else:  # as on a GPU
            self.layer *= max(trial.step - products, trial.step / 4) / layers

    def plans(self) -> list[Plan]:
        """Returns all plans, with blocks of the length that is given, or that the text can fill."""
        if self.block_size is not None:
            return [plan.in_blocks(self.block_size) for plan in PLANS]
        longest = min(self.tokens, self.held_out) - 1
        short = max(longest // 2, SHORTEST)
        return [plan if plan.block_size <= longest else replace(plan, block_size=short) for plan in PLANS]

    def best(self, left: float) -> Choice:
        """Returns the choice of the lowest loss in the seconds that are left, by what is known so far.

        Of each plan as many networks as fill that time without learning the text by heart.
        """
        choices = []
        for plan in [plan for plan in self.plans() if plan.fits(self.characters)] or self.plans()[:1]:
            for members in MEMBERS:
                choice = self.fitted(replace(plan, n_member=members), left)
                if not choice.cut:
                    break
            choices.append(choice)
        return min(choices, key=self._order)

    def trial(self, plan: Plan | None) -> Trial:
        """Returns what was measured of a plan, or what its arithmetic lets expect."""
        if plan in self.tried:
            return self.tried[plan]
        assert plan is not None
        products, layers = self._guessed(plan)
        batches = max(self.held_out // BATCH, 1)
        texts = self.held_out * plan.n_member / plan.tokens_per_step  # held-out ones, in tokens of a step
        return Trial(
            step=products + layers,
            held_out=(products * texts + layers * batches) / 3,  # no backward pass
            batches=batches,
            samples=SAMPLES,
            besides=BESIDES,
            ending=0.0,
            peak_memory=0,
        )

    def fitted(self, plan: Plan | None, left: float) -> Choice:
        """Fits steps and validations of a plan into the seconds that are left."""
        trial = self.trial(plan)
        longest = VALIDATING * left / FEWEST  # seconds of a validation
        some = math.floor(longest / (trial.held_out / trial.batches))
        # of all batches the loss is exact: that some are left out must be worth it
        held_out = max(some, 1) if trial.held_out > 2 * longest and trial.batches > 1 else None
        validation = trial.samples + trial.held_out * ((held_out or trial.batches) / trial.batches)
        validations = min(max(int(VALIDATING * left / validation), FEWEST), MOST)
        steps = max(int((left - trial.besides - validations * validation) / trial.step), 0)
        most = None
        if plan is not None and math.isfinite(passes := plan.most_passes(self.characters)):
            most = int(passes * self.tokens * plan.n_member / plan.tokens_per_step)
            steps = min(steps, most)
        validations = min(validations, max(steps, 1))
        steps = steps // validations * validations
        choice = Choice(plan, steps, validations, self.accumulate, trial.ending, most, held_out)
        if plan is None:
            return choice
        read = max(steps, 1) * plan.tokens_per_step / plan.n_member  # tokens, by each network
        passes = read / self.tokens
        loss = law()(plan.parameters, read * self.per_token, self.characters, plan.n_member)  # per character
        chosen = plan.options(passes, self.characters)
        return replace(choice, passes=passes, loss=loss * self.per_token, options=chosen)

    def _guessed(self, plan: Plan) -> tuple[float, float]:
        """Guesses the seconds that a step takes for its products, and for all else."""
        products = plan.flops_per_token * plan.tokens_per_step / self.rate
        return products, self.layer * plan.n_layer * plan.n_member

    def _order(self, choice: Choice) -> tuple[bool, float]:
        """Orders choices: by their losses, then by time those that have hardly a step."""
        assert choice.loss is not None
        hardly = choice.steps < FEWEST_STEPS
        return hardly, self.trial(choice.plan).step if hardly else choice.loss
