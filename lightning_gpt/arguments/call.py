"""Calls a function as a command: its parameters are the options, its docstring the help. Uses argparse alone."""

import argparse
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from docstring_parser import parse as parse_docstring

from lightning_gpt.arguments.completion import answer, wanted
from lightning_gpt.arguments.types import NOT_A_VALUE, converted, in_words, unfit
from lightning_gpt.errors import UserError, did_you_mean

ONLY = inspect.Parameter.POSITIONAL_ONLY
REST = "fit_options"  # a parameter of this name takes the options that the function does not know


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are UserErrors."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError instead of leaving the program."""
        raise UserError(f"{message}: see {self.prog} --help")


def call(name: str, function: Callable[..., Any], args: Sequence[str]) -> Any:
    """Calls a function with what a command line says; returns what it returns.

    A parameter without a default is positional, or, where Python takes it by name only, an option that must be given;
    a positional-only one is positional, too, and may be left out; one of type bool is a switch, which may be given true
    or false; one called `fit_options` is given what the function itself does not know. Typed text stays the text that
    was typed.

    Raises:
        UserError: anything wrong with the arguments, or that the function complains of.
    """
    hints = inspect.get_annotations(function, eval_str=True)
    parser = _parser(name, function, hints)
    answer(parser)
    own = {f"--{option}" for option, hint in hints.items() if hint is not bool and option not in ("return", REST)}
    given, rest = parser.parse_known_args(list(_joined(args, own)))
    if rest and REST not in hints:
        raise UserError(_unexpected(rest[0], list(hints)))
    values = {option: _value(option, hints[option], value) for option, value in vars(given).items()}
    positional = [values.pop(option) for option, parameter in _parameters(function) if parameter.kind is ONLY]
    return function(*positional, **values, **({REST: rest} if REST in hints else {}))


def _joined(args: Sequence[str], own: Collection[str]) -> Iterator[str]:
    """Yields the arguments, `--stop ---` as `--stop=---`: argparse takes no value that begins with a dash."""
    words = iter(args)
    for word in words:
        value = next(words, None) if word in own else None
        if value is not None and value.partition("=")[0] in own:
            raise UserError(f"{word} needs a value")
        yield word if value is None else f"{word}={value}"


def _parser(name: str, function: Callable[..., Any], hints: dict[str, Any]) -> Parser:
    docstring = parse_docstring(inspect.getdoc(function) or "")
    helps = {parameter.arg_name: parameter.description for parameter in docstring.params}
    description, epilog = docstring.short_description, helps.get(REST)
    parser = Parser(prog=f"lightning-gpt {name}", description=description, epilog=epilog, allow_abbrev=False)
    for option, parameter in _parameters(function):
        if option == REST:
            continue
        text = (helps.get(option) or "").replace("%", "%%")
        if parameter.default is parameter.empty:
            named: dict[str, Any] = {"required": True} if parameter.kind is parameter.KEYWORD_ONLY else {}
            parser.add_argument(f"--{option}" if named else option, help=text, **named)
            continue
        if parameter.kind is ONLY:
            parser.add_argument(option, nargs="?", default=parameter.default, help=text)
            continue
        shown = "" if parameter.default in (None, False, "\n") else f" (default: {parameter.default})"
        # completion offers a value only where there must be one
        optional = {} if wanted() else {"nargs": "?", "const": True}
        switch: dict[str, Any] = {"metavar": "true|false", **optional} if hints[option] is bool else {}
        action = parser.add_argument(f"--{option}", default=parameter.default, help=text + shown, **switch)
        if switch:
            action.completer = lambda **_: ("true", "false")  # type: ignore[attr-defined]  # argcomplete's way
    return parser


def _parameters(function: Callable[..., Any]) -> Iterable[tuple[str, inspect.Parameter]]:
    return inspect.signature(function).parameters.items()


def _value(option: str, hint: Any, given: Any) -> Any:
    """Converts what was typed to the parameter's type; a default stays what it is."""
    if not isinstance(given, str):
        return given
    if why := unfit(option, given):
        raise UserError(f"--{option} {why}")
    value = converted(hint, given)
    if value is NOT_A_VALUE:
        raise UserError(f"--{option} takes {in_words(hint)}, not {given!r}")
    return value


def _unexpected(word: str, known: Iterable[str]) -> str:
    if not word.startswith("-"):
        return f"unexpected {word!r}: options begin with --, and a value with blanks needs quotes"
    name = word.partition("=")[0].lstrip("-")
    return f"there is no option {name}; {did_you_mean(name, known, 'see --help')}"
