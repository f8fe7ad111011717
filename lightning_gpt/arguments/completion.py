"""Shell completion by argcomplete, which jsonargparse calls for each of its parsers: led to the command's own."""

import argparse
import os
from collections.abc import Callable, Iterable

VARIABLE = "_ARGCOMPLETE"  # set by the shell's hook: the number of words that make up the program's name


def wanted() -> bool:
    """Returns whether a shell is asking for completions."""
    return VARIABLE in os.environ


def complete(commands: Iterable[str], dispatch: Callable[[list[str]], None]) -> None:
    """Prints completions for the shell, and ends the process.

    Args:
        commands: the names of all commands.
        dispatch: runs a command; its parser answers before anything else happens.
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
    """Prints this parser's completions and ends the process, if a shell is asking."""
    if wanted():
        import argcomplete

        argcomplete.autocomplete(parser)
