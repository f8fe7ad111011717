"""Trains from Python as the command fit does, with the same checks, folder and files."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from lightning_gpt.errors import Interrupted, UserError, did_you_mean
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.options import CHOICES, choice_options, known_options, typed
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.running import run
from lightning_gpt.runs import Run

SHORT = {"seed": "seed_everything", "network": "model.network", "optimizer": "model.optimizer"}


def fit(
    recipe: str | Path | Sequence[str | Path] = (),
    *,
    options: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    **short: Any,
) -> Run:
    """Trains a network, as the command `lightning-gpt fit` does.

    >>> run = lightning_gpt.fit("configs/cpu.yaml", corpus="book.txt", max_steps=500)
    >>> run.result.best.bits_per_char
    >>> run.generate("Once")

    Ctrl-C, and a notebook's Interrupt, end the run after the step at hand: it is saved, and returned.

    Args:
        recipe: a YAML file, or several, of which later ones win.
        options: options by their full names, {"trainer.max_steps": 500}.
        callbacks: further callbacks for the Trainer.
        short: options by the last part of their names, where only one ends so: corpus, max_steps, n_layer, lr;
            `network` and `optimizer` take a class of the ladder or its name, `seed` is seed_everything.

    Raises:
        UserError: all that is wrong with the options, text, network or machine; nothing has been trained then.
    """
    recipes = [recipe] if isinstance(recipe, str | Path) else list(recipe)
    given = {**dict(options or {}), **{full_name(name): value for name, value in short.items()}}
    # classes first: their own options are known only then
    ordered = sorted(given.items(), key=lambda item: item[0] not in CHOICES)
    args = [f"--config={path}" for path in recipes] + [f"--{name}={typed(value)}" for name, value in ordered]
    words = [repr(str(path)) for path in recipes] + [f"{name}={value!r}" for name, value in short.items()]
    configuration = configure("fit", args, command=f"lightning_gpt.fit({', '.join(words)})")
    prepared = prepare(configuration, callbacks)
    try:
        done = run(prepared)
    except Interrupted as stop:
        print(f"\n{stop}\n  go on with  lightning_gpt.fit(ckpt_path={str(stop.path)!r})", file=sys.stderr)
        return Run(stop.path.parent.parent)
    if done is None:
        raise UserError("a run without a logger or checkpoints has no folder: leave trainer.logger as it is")
    return done


def full_name(short: str) -> str:
    """Returns the one option that ends in `short`.

    Raises:
        UserError: there is none, or there are several.
    """
    if short in SHORT:
        return SHORT[short]
    inner = [
        f"{choice}.{name}"
        for choice, classes in CHOICES.items()
        for one in classes
        for name in choice_options(choice, one)
    ]
    known = list(dict.fromkeys([*known_options(), *inner]))
    found = [name for name in known if name == short] or [name for name in known if name.rpartition(".")[2] == short]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{short} may be {' or '.join(found)}: name it in full, options={{{found[0]!r}: …}}")
    remedy = did_you_mean(short, [name.rpartition(".")[2] for name in known], "see lightning-gpt fit --help")
    raise UserError(f"there is no option {short}; {remedy}")
