"""The one door: finds the command in a table, runs it, and turns a user's mistake into a line and exit status 2.

Nothing heavy is imported before it is known which command needs it.
"""

import os
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from lightning_gpt.errors import Interrupted, UserError, nearest
from lightning_gpt.terminal import styled, visible


def with_options(name: str, function: Callable[..., Any], args: list[str]) -> None:
    """Calls a command whose options are its function's own parameters."""
    from lightning_gpt.launch.arguments import call

    call(name, function, args)


def with_lightning(name: str, function: Callable[..., Any], args: list[str]) -> None:
    """Calls a command whose options are LightningCLI's."""
    function(name, args)


class Command(NamedTuple):
    """A command.

    Attributes:
        help: what it does, in a line.
        function: what is behind it, `module:name` in commands/.
        calls: how that is called.
        goes_on: typed again after an interruption, it goes on where it was.
    """

    help: str
    function: str
    calls: Callable[[str, Callable[..., Any], list[str]], None] = with_options
    goes_on: bool = False

    def __call__(self, name: str, args: list[str]) -> None:
        """Runs the command under its name."""
        module, _, function = self.function.partition(":")
        self.calls(name, getattr(import_module(f"lightning_gpt.commands.{module}"), function), args)


COMMANDS = {
    "fit": Command(
        "train a network; LightningCLI: --config, any option, --print_config", "stages:stage", with_lightning
    ),
    "validate": Command("the exact loss of a checkpoint on the held-out text", "stages:stage", with_lightning),
    "test": Command("the same, logged as test/", "stages:stage", with_lightning),
    "predict": Command("the nats of every held-out token", "stages:stage", with_lightning),
    "generate": Command("write text with a checkpoint", "generate:generate"),
    "data": Command("fetch a corpus and prepare it, without training", "data:data"),
    "ladder": Command("train the lecture's rungs in order: table, picture, curves", "ladder:ladder", goes_on=True),
    "verify-resume": Command(
        "kill a run again and again, and compare it with one that was left alone", "verify_resume:verify_resume"
    ),
    "report": Command("a run on one page of HTML: curves, samples, surprises, attention", "report:report"),
    "doctor": Command("do text, recipe and machine suit each other, and how long will it take", "doctor:doctor"),
    "compare": Command(
        "two checkpoints on the same held-out text: which is better, and is that chance", "compare:compare"
    ),
    "bench": Command("measure this machine, and this project on it beside a plain PyTorch loop", "bench:bench"),
}


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0 done, 2 a user's mistake, 128 + n stopped by signal n."""
    args = sys.argv[1:] if argv is None else argv
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True, errors="replace")
    try:
        if "_ARGCOMPLETE" in os.environ:
            from lightning_gpt.launch.completion import complete

            complete(COMMANDS, dispatch)
        dispatch(args)
    except UserError as error:
        if debug:
            raise
        print(f"{styled('lightning-gpt:', 'bold', 'red', stream=sys.stderr)} {visible(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if debug:
            raise
        print("\nlightning-gpt: stopped", file=sys.stderr)
        return 130
    except Interrupted as stop:
        from lightning_gpt.launch.program import program_name

        again = args if COMMANDS[args[0]].goes_on else ["fit", "--ckpt_path", os.path.relpath(stop.path)]
        print(f"\n{stop}\n  go on with  {program_name()} {shlex.join(again)}", file=sys.stderr)
        return 128 + stop.signal
    except BrokenPipeError:  # as in: generate | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def entry() -> None:
    """The console script."""
    sys.exit(main())


def dispatch(args: list[str]) -> None:
    """Runs the command that `args` begin with.

    Raises:
        UserError: whatever the command complains of, or no such command.
        Interrupted: a signal stopped a run, which was saved.
    """
    command, *rest = args or ["--help"]
    if command in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: lightning-gpt COMMAND [options], lightning-gpt COMMAND --help\n")
        print("\n".join(f"  {name:{width}}  {command.help}" for name, command in COMMANDS.items()))
        print("\n  --debug anywhere shows the traceback behind an error message")
    elif command == "--version":
        from lightning_gpt import __version__

        print(__version__)
    elif command in COMMANDS:
        COMMANDS[command](command, rest)
    else:
        hint = nearest(command, COMMANDS)
        remedy = f"did you mean {hint}?" if hint else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"no command {command!r}; {remedy}")
