"""Knows all options of the Trainer's stages by name and type, and complains of wrong ones. Makes nothing."""

import inspect
import json
import math
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import Trainer

from lightning_gpt.arguments.types import Answer, in_words, takes, unfit
from lightning_gpt.errors import UserError, did_you_mean
from lightning_gpt.ladder import NETWORKS, Network
from lightning_gpt.launch.recipe import read_recipe
from lightning_gpt.training import AdamW, CharDataModule, Muon, Overfitting, SampleText, Schedule

OWN: dict[str, Any] = {
    "config": str,
    "ckpt_path": str | None,
    "init_from": str | None,
    "name": str,
    "runs_dir": str,
    "budget": str | None,
    "resume": Literal["never", "ask", "auto"],
    "save_every_n_steps": int | None,
    "film": bool,
    "seed_everything": int | bool,
}
# options that stand for a class: its name, or a class path; then its own options
CHOICES: dict[str, dict[str, type]] = {
    "model.network": {network.__name__: network for network in NETWORKS},
    "model.optimizer": {recipe.__name__: recipe for recipe in (AdamW, Muon)},
}
LINKED = {  # options of classes that are set by other options
    "data.seed": "--seed_everything gives it",
    "model.network.vocab_size": "it is the text's own number of characters",
    "model.network.block_size": "--data.block_size gives it",
}
WHICH_NETWORK = "which network? give a recipe, --config configs/cpu.yaml, or a rung, --model.network GPT"
ASIDE = ("help", "print_config")  # options that ask for something else than a run


@dataclass(frozen=True)
class Given:
    """An option as it was given.

    Attributes:
        name: as `data.corpus`; of a class's own options as `model.network.n_layer`, without init_args.
        value: a text, if it was typed.
        source: the file that it is from; None for the command line.
    """

    name: str
    value: Any
    source: Path | None = None

    def __str__(self) -> str:
        return f"{self.source}: {self.name}" if self.source else f"--{self.name}"


@cache
def known_options() -> dict[str, Any]:
    """Lists all options but those of chosen classes: name to type."""
    return {
        **OWN,
        **{f"trainer.{name}": hint for name, hint in parameters(Trainer).items()},
        **{f"data.{name}": hint for name, hint in parameters(CharDataModule).items() if name != "seed"},
        "model.network": str,
        "model.optimizer": str,
        **{f"model.schedule.{name}": hint for name, hint in parameters(Schedule).items()},
        "model.compile": bool,
        "model.freeze_blocks": int,
        "model.teacher": str | None,
        **{f"sample.{name}": hint for name, hint in parameters(SampleText).items()},
        **{f"overfitting.{name}": hint for name, hint in parameters(Overfitting).items()},
    }


@cache
def choice_options(option: str, chosen: str) -> dict[str, Any]:
    """Lists the options of a chosen class: name to type."""
    cls = CHOICES[option][chosen]
    # a network's sizes are the fields of its config
    of: type = cls.config_class() if issubclass(cls, Network) else cls
    return {name: hint for name, hint in parameters(of).items() if f"{option}.{name}" not in LINKED}


@cache
def parameters(of: Callable[..., Any]) -> dict[str, Any]:
    """Lists the parameters of a function, or of a class's constructor: name to type."""
    hints = typing.get_type_hints(
        inspect.unwrap(inspect.getattr_static(of, "__init__") if isinstance(of, type) else of)
    )
    return {name: hints.get(name, Any) for name in inspect.signature(of).parameters}


# ------------------------------------------------------------------------------------------------------ what is given


def given_options(args: list[str]) -> Iterator[Given]:
    """Yields each option on a command line, and in the files that it names, in order.

    Raises:
        UserError: a file that can't be read, or a word that is no option.
    """
    words = iter(args)
    for word in words:
        if word == "-c":
            word = "--config"
        if not word.startswith("--") or word == "--":
            raise UserError(f"unexpected {word!r}: options begin with --, and a value with blanks needs quotes")
        name, equals, value = word[2:].partition("=")
        if name.rpartition(".")[2] in ASIDE or name.endswith("+"):
            if not equals and name != "help" and name != "print_config":
                next(words, None)
            continue
        typed: str | None = value if equals else next(words, None)
        if typed is None:
            raise UserError(f"--{name} needs a value")
        if name == "config":
            if why := unfit(name, typed):
                raise UserError(f"--config {why}")
            path = Path(typed)
            yield from flattened(read_recipe(path), path)
        else:
            yield Given(name.replace(".init_args.", "."), typed)


def flattened(config: Mapping[str, Any], source: Path | None, before: str = "") -> Iterator[Given]:
    """Yields each option of a nested configuration; the arguments of a class that is not among CHOICES stay whole."""
    for key, value in config.items():
        name = f"{before}{key}"
        if name in CHOICES and isinstance(value, Mapping):
            if "class_path" in value:
                yield Given(name, value["class_path"], source)
            inner = value.get("init_args") or {}
            rest = {k: v for k, v in value.items() if k not in ("class_path", "init_args")}
            yield from flattened({**inner, **rest} if isinstance(inner, Mapping) else rest, source, f"{name}.")
        elif isinstance(value, Mapping) and name not in known_options():
            yield from flattened(value, source, f"{name}.")
        else:
            yield Given(name, value, source)


def typed_texts(given: Iterable[Given]) -> Iterator[tuple[str, str]]:
    """Yields options that take a text or null, and the text that was typed: of `#` and `~`, too, YAML makes None."""
    for option in {option.name: option for option in given}.values():  # the last one holds
        hint = known_options().get(option.name)
        if hint == str | None and option.source is None and option.value != "null":
            yield option.name, option.value


def typed(value: Any) -> str:
    """Writes a value as it would be typed on a command line."""
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}".replace("nan", ".nan").replace("inf", ".inf")  # YAML's own
    return json.dumps(value, default=_as_plain)


def as_arguments(chosen: Mapping[str, Any]) -> list[str]:
    """Writes options as they would be typed."""
    return [f"--{name}={typed(value)}" for name, value in chosen.items()]


def _as_plain(value: Any) -> Any:
    """Converts NumPy's and PyTorch's numbers to Python's, paths to texts.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic | torch.Tensor) and value.ndim == 0:
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain value")


# ------------------------------------------------------------------------------------------------ what is wrong with it


def problems(given: Iterable[Given]) -> list[str]:
    """Lists what is wrong with the names and types of options, each in a line with its remedy."""
    given = list(given)
    known = known_options()
    found: list[str] = []
    chosen: dict[str, str | None] = dict.fromkeys(CHOICES)
    for option in given:
        if option.name in CHOICES:
            chosen[option.name], problem = _chosen(option)
            found += [problem] if problem else []
    chosen["model.optimizer"] = chosen["model.optimizer"] or AdamW.__name__
    for option in given:
        choice, _, inner = option.name.rpartition(".")
        if option.name in CHOICES:
            continue
        if option.name in LINKED:
            found.append(f"{option} can't be chosen: {LINKED[option.name]}")
        elif choice in CHOICES:
            if (name := chosen[choice]) is not None:
                found += _choice_problems(option, choice, name, inner)
        elif option.name not in known:
            found += _unknown(option, known)
        else:
            found += _type_problem(option, known[option.name])
    return list(dict.fromkeys(found))


def refused(option: Given) -> str:
    """Says what an option takes whose value only LightningCLI itself could refuse."""
    choice, _, inner = option.name.rpartition(".")
    if option.name in CHOICES:
        takes = f"{', '.join(CHOICES[option.name])}, or the class path of one of your own"
    elif option.name in known_options():
        takes = in_words(known_options()[option.name])
    else:
        hints = [choice_options(choice, name).get(inner) for name in CHOICES.get(choice, ())]
        takes = next((in_words(hint) for hint in hints if hint is not None), "another value, see --help")
    return f"{option} takes {takes}, not {option.value!r}"


def _chosen(option: Given) -> tuple[str | None, str | None]:
    """Returns the class of ours that an option chooses, if it is one; and what is wrong with it, if something is."""
    choices = CHOICES[option.name]
    kind = option.name.rpartition(".")[2]
    value = option.value
    if isinstance(value, str) and (value in choices or value.rpartition(".")[2] in choices):
        return value.rpartition(".")[2], None
    if isinstance(value, str) and any(mark in value for mark in "./{"):
        return None, None  # a class path, a file or a mapping of the user's own
    if value in (None, "", "null"):  # the default; there is none for a network
        return None, WHICH_NETWORK if option.name == "model.network" else None
    where = f"{option.source}: " if option.source else ""
    return None, f"{where}there is no {kind} {value}; {did_you_mean(str(value), choices)}"


def _choice_problems(option: Given, choice: str, name: str, inner: str) -> list[str]:
    own = choice_options(choice, name)
    if inner in own:
        return _type_problem(option, own[inner])
    where = f"{option.source}: " if option.source else ""
    others = [other for other in CHOICES[choice] if inner in choice_options(choice, other)]
    if others:
        remedy = f"{', '.join(others)} {'has' if len(others) == 1 else 'have'}"
    else:
        remedy = f"it has {', '.join(own)}" if own else "it has none"
    return [f"{where}{name} has no option {inner}; {did_you_mean(inner, own, remedy)}"]


def _unknown(option: Given, known: Mapping[str, Any]) -> list[str]:
    group = f"{option.name}."
    if any(name.startswith(group) for name in known):
        if why := unfit(option.name, option.value):
            return [f"{option} {why}"]
        # a whole group typed in one value, or a file of it
        return [] if isinstance(option.value, str) else [f"{option} takes options by their names, not {option.value!r}"]
    if any(option.name.startswith(f"{name}.") for name in known):
        return []  # into a class of the user's own, as trainer.logger.init_args.name
    where = f"{option.source}: " if option.source else ""
    return [f"{where}there is no option {option.name}; {did_you_mean(option.name, [*known, *LINKED], 'see --help')}"]


def _type_problem(option: Given, hint: Any) -> list[str]:
    if why := unfit(option.name, option.value):
        return [f"{option} {why}"]
    if takes(hint, option.value) is not Answer.NO:
        return []
    return [f"{option} takes {in_words(hint)}, not {option.value!r}"]
