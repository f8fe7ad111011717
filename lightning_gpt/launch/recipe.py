"""Reads a recipe: a YAML file of options, on top of the recipes that its `base` names; old names are translated.

The files are the user's own choice, so a class that they name is imported later on, as LightningCLI does.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lightning_gpt.errors import UserError
from lightning_gpt.ladder.aliases import modernised, modernised_config
from lightning_gpt.launch.loggers import spelled_out, typed_out
from lightning_gpt.runs.config import read_config

NETWORK = "model.network"


def read_recipe(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Reads a recipe whole: its bases in order, each with its own, then the file itself; later ones win.

    Args:
        path: the file; its `base` is a path or a list of paths, relative to it.
        above: the files whose bases led here.

    Raises:
        UserError: a file that is missing or no configuration, or one that is its own base.
    """
    if path.resolve() in above:
        chain = " -> ".join(file.name for file in (*above, path))
        raise UserError(f"{path} is its own base ({chain}): leave it out of one of them")
    config = read_config(path)
    bases = config.pop("base", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"{path}: base takes a path or a list of paths, not {bases!r}")
    whole: dict[str, Any] = {}
    for base in bases:
        whole = merged(whole, read_recipe(path.parent / base, (*above, path.resolve())))
    return merged(whole, modernised_config(config))


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merges two configurations deeply; another class does not inherit the init_args of the one below it."""
    result = dict(under)
    for name, value in over.items():
        below = result.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and not _another_class(below, value):
            value = merged(below, value)
        result[name] = value
    return result


def _another_class(under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    old, new = (str(config.get("class_path", "")).rpartition(".")[2] for config in (under, over))
    return "class_path" in over and old != new


def renamed(args: list[str]) -> Iterator[str]:
    """Yields a command line with old names of networks and sizes replaced by today's."""
    words = iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if name.startswith(f"--{NETWORK}") and not name.endswith(".help"):
            yield _network(name[2:], value if equals else next(words, ""))
        else:
            yield word


def written_out(args: list[str]) -> Iterator[str]:
    """Yields a command line in which all that LightningCLI could not read by itself is written out."""
    words = iter(args)
    for word in words:
        name, equals, value = word.partition("=")
        if name in ("-c", "--config"):
            path = Path(value if equals else next(words, ""))
            recipe = read_recipe(path)
            if isinstance(recipe.get("trainer"), Mapping) and "logger" in recipe["trainer"]:
                recipe["trainer"] = {**recipe["trainer"], "logger": spelled_out(recipe["trainer"]["logger"])}
            yield f"--config={path if recipe == read_config(path) else yaml.safe_dump(recipe)}"
        elif name == "--trainer.logger":
            yield f"{name}={typed_out(value if equals else next(words, ''))}"
        else:
            yield word


def _network(name: str, value: str) -> str:
    option = name.rpartition(".")[2]
    if option in ("network", "class_path"):
        return f"--{name}={modernised(value, {})[0]}"
    (renamed, new), *_ = modernised("", {option: {"true": True, "false": False}.get(value, value)})[1].items()
    return f"--{name.removesuffix(option)}{renamed}={str(new).lower() if isinstance(new, bool) else new}"
