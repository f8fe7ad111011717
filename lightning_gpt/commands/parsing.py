"""Command lines read by jsonargparse, its complaints as single lines with a remedy."""

import argparse
import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator

import jsonargparse

from lightning_gpt.commands.completion import answer
from lightning_gpt.errors import UserError


def call(function: Callable[..., None], args: list[str]) -> None:
    """Calls the function of a command with what the command line says; its docstring is the command's help.

    Raises:
        UserError: anything wrong with the arguments, or that the function complains of.
    """
    parser = jsonargparse.ArgumentParser(
        prog=f"lightning-gpt {function.__name__}",
        description=(function.__doc__ or "").splitlines()[0],
        exit_on_error=False,
    )
    names = parser.add_function_arguments(function, as_positional=True)
    switches = {f"--{name}" for name, value in inspect.signature(function).parameters.items() if value.default is False}
    function(**parse(parser, [*with_true(args, switches)], names).as_dict())


def with_true(args: list[str], switches: Collection[str]) -> Iterator[str]:
    """The arguments, a switch without a value given its `true`: --novelty for --novelty true."""
    for arg, after in zip(args, [*args[1:], "-"], strict=False):
        yield f"{arg}=true" if arg in switches and after.startswith("-") else arg


def parse(parser: jsonargparse.ArgumentParser, args: list[str], known: Iterable[str]) -> jsonargparse.Namespace:
    """The arguments parsed; `known` are the names among which a wrong one's nearest is looked for.

    The parser must have been made with exit_on_error=False.

    Raises:
        UserError: anything wrong with the arguments or a config file.
    """
    try:
        return parser.parse_args(args)
    except (argparse.ArgumentError, jsonargparse.ArgumentError) as error:
        raise UserError(one_line(str(error), known)) from error


def parse_some(parser: argparse.ArgumentParser, args: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What the parser knows of the arguments, and the rest; it must have been made with exit_on_error=False.

    Raises:
        UserError: a value that the parser does not accept.
    """
    answer(parser)
    try:
        return parser.parse_known_args(args)
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error


def one_line(message: str, known: Iterable[str]) -> str:
    """The complaint as one line, with the nearest name that exists for one that does not."""
    line = " ".join(message.split())
    unknown = re.search(r"unrecognized arguments: --([\w.]+)|option '([\w.]+)'|Option '([\w.]+)' is not", line)
    if unknown:
        name = next(group for group in unknown.groups() if group)
        near = difflib.get_close_matches(name, list(known), n=1)
        return f"there is no option {name}; " + (f"did you mean {near[0]}?" if near else "see --help")
    if line.endswith("model.network"):
        return "which network? give a recipe, --config configs/cpu.yaml, or a rung, --model.network GPT"
    return re.sub(r" Does not validate against any of the Union subtypes.*Given value: ", " does not accept ", line)
