"""Trains from Python as the command fit does, with the same checks, folder and files."""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from lightning_gpt.errors import Interrupted, UserError, did_you_mean
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.options import ASIDE, CHOICES, choice_options, known_options, typed
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.running import run
from lightning_gpt.launch.within import within_budget
from lightning_gpt.runs import Run

SHORT = {"seed": "seed_everything", "network": "model.network", "optimizer": "model.optimizer"}
_at_work = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Lets one fit at a time into the block: two would draw from the same random numbers, and trace one graph.

    Raises:
        UserError: there is another.
    """
    if not _at_work.acquire(blocking=False):
        raise UserError("another fit is going on in this process: wait for it, or start a process of its own for each")
    try:
        yield
    finally:
        _at_work.release()


@alone()
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
        UserError: all that is wrong with the options, text, network or machine, or another fit is going on in this
            process; nothing has been trained then.
    """
    recipes = [recipe] if isinstance(recipe, str | Path) else list(recipe or ())
    if isinstance(recipe, Mapping) or not all(isinstance(path, str | Path) for path in recipes):
        raise UserError("a recipe is the path of a YAML file: options themselves go into options={…} or keywords")
    further = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    if not all(isinstance(callback, Callback) for callback in further):
        raise UserError("callbacks takes Lightning callbacks, made: [LearningRateMonitor()]")
    given = {**dict(options or {}), **{full_name(name): value for name, value in short.items()}}
    # classes first: their own options are known only then
    ordered = sorted(given.items(), key=lambda item: item[0] not in CHOICES)
    args = [f"--config={path}" for path in recipes] + [f"--{name}={written(name, value)}" for name, value in ordered]
    words = [repr(str(path)) for path in recipes] + [f"{name}={value!r}" for name, value in short.items()]
    args, keeping = within_budget(args)
    configuration = configure("fit", args, command=f"lightning_gpt.fit({', '.join(words)})")
    prepared = prepare(configuration, [*further, *keeping])
    if not prepared.problems and not prepared.has_folder:
        raise UserError("a run without a logger has no folder: leave trainer.logger, or take a Trainer of your own")
    try:
        done = run(prepared)
    except Interrupted as stop:
        print(f"\n{stop}\n  go on with  lightning_gpt.fit(ckpt_path={str(stop.path)!r})", file=sys.stderr)
        return Run(stop.path.parent.parent)
    assert done is not None
    return done


def written(name: str, value: Any) -> str:
    """Writes an option's value as it would be typed.

    Raises:
        UserError: it is an object, which nobody can type, or the option asks for something else than a run.
    """
    if name.rpartition(".")[2] in ASIDE:
        raise UserError(f"{name} is for the command line: see lightning-gpt fit --help")
    ours = CHOICES.get(name, {})
    if isinstance(value, type) and ours.get(value.__name__) is not value:
        raise UserError(
            f"{name} takes {', '.join(ours) or 'no class'}, not another {value.__name__}: a class of your own goes "
            "into a LanguageModel and a Trainer of yours"
        )
    try:
        return typed(value)
    except (TypeError, ValueError) as error:
        one_of = f"{', '.join(ours)} by name, its options beside it" if ours else "numbers, texts and lists of them"
        raise UserError(
            f"{name} takes {one_of}, not an object of type {type(value).__name__}: such go into a Trainer of your own"
        ) from error


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
