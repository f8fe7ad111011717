"""Shell completion: argcomplete, which jsonargparse asks for each of its parsers, led to the right one of ours."""

import argparse
import os
from collections.abc import Callable, Iterable

VARIABLE = "_ARGCOMPLETE"  # set by the shell's hook: the number of words that make up the program's name


def wanted() -> bool:
    """Whether a shell is asking what could come next."""
    return VARIABLE in os.environ


def complete(commands: Iterable[str], dispatch: Callable[[list[str]], None]) -> None:
    """Answers the shell, and ends the process.

    Args:
        commands: all there are.
        dispatch: what runs a command; its parser answers before anything else happens.
    """
    before = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    words = before.split()[1:]
    done = words if before[-1:].isspace() else words[:-1]
    if not done or done[0] not in commands:
        parser = argparse.ArgumentParser(add_help=False)
        parser.add_argument("command", choices=list(commands))
        answer(parser)
    os.environ[VARIABLE] = "2"  # the program is now called "lightning-gpt generate"
    dispatch(done[:1])


def answer(parser: argparse.ArgumentParser) -> None:
    """Ends the process with what this parser could take next, if a shell is asking."""
    if wanted():
        import argcomplete

        argcomplete.autocomplete(parser)
