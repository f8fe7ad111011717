"""The command line's entry: looks a command up in a table, runs it, and turns a UserError into exit status 2.

Nothing heavy is imported before it is known which command needs it.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from lightning_gpt import interrupt
from lightning_gpt.arguments.environment import must_be_numbered
from lightning_gpt.errors import Interrupted, UserError, did_you_mean
from lightning_gpt.imports import unused_hidden
from lightning_gpt.terminal import lost_output, styled, visible


def with_options(name: str, function: Callable[..., Any], args: list[str]) -> None:
    """Calls a command whose options are its function's own parameters."""
    from lightning_gpt.arguments.call import call

    call(name, function, args)


def with_data_options(name: str, function: Callable[..., Any], args: list[str]) -> None:
    """The same, for options that may also be typed as a fit's: --data.corpus for --corpus."""
    with_options(name, function, [re.sub(r"^--data\.", "--", arg) for arg in args])


def with_lightning(name: str, function: Callable[..., Any], args: list[str]) -> None:
    """Calls a command whose options are LightningCLI's."""
    function(name, args)


class Command(NamedTuple):
    """A command.

    Attributes:
        help: what it does, in a line.
        function: where its code is, `module:name` in commands/.
        calls: how that function is called.
        saves: whether its result lies in files; else it is what standard output was to have.
        resumes: whether the same command, typed again after an interruption, goes on where it was.
    """

    help: str
    function: str
    calls: Callable[[str, Callable[..., Any], list[str]], None] = with_options
    saves: bool = False
    resumes: bool = False

    def __call__(self, name: str, args: list[str]) -> None:
        """Runs the command under its name."""
        module, _, function = self.function.partition(":")
        with unused_hidden():
            called = getattr(import_module(f"lightning_gpt.commands.{module}"), function)
        self.calls(name, called, args)


COMMANDS = {
    "fit": Command(
        "train a network; LightningCLI: --config, any option, --print_config",
        "stages:stage",
        with_lightning,
        saves=True,
    ),
    "validate": Command("measure a checkpoint's exact loss on the held-out text", "stages:stage", with_lightning),
    "test": Command("the same, logged as test/", "stages:stage", with_lightning),
    "predict": Command("compute the nats of every held-out token", "stages:stage", with_lightning),
    "generate": Command("write text with a checkpoint", "generate:generate"),
    "data": Command("fetch a corpus and prepare it, without training", "data:data", with_data_options, saves=True),
    "ladder": Command(
        "train the lecture's rungs in order: table, picture, curves", "ladder:ladder", saves=True, resumes=True
    ),
    "verify-resume": Command(
        "kill a run again and again, and compare it with one that was left alone", "verify_resume:verify_resume"
    ),
    "report": Command(
        "write a run to one page of HTML: curves, samples, surprises, attention", "report:report", saves=True
    ),
    "page": Command(
        "write a network to one page of HTML that runs it: write, look inside, watch it learn",
        "page:page",
        saves=True,
    ),
    "watch": Command("show a run on a local page while it trains; stop and save it", "watch:watch"),
    "doctor": Command("check that text, recipe and machine suit each other; predict the time", "doctor:doctor"),
    "compare": Command(
        "compare two checkpoints on the same held-out text: which is better, and may that be chance", "compare:compare"
    ),
    "export": Command("write a checkpoint for Hugging Face, nanoGPT and others", "export:export", saves=True),
    "import": Command("make a run of a network from nanoGPT or Hugging Face", "import_:import_", saves=True),
    "bench": Command(
        "measure this machine, and this project on it beside a plain PyTorch loop", "bench:bench", saves=True
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns its status: 0 done, 1 output lost, 2 a user's mistake, 128 + n stopped by signal n."""
    args = sys.argv[1:] if argv is None else argv
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    try:
        must_be_numbered(os.environ)
        if "_ARGCOMPLETE" in os.environ:
            from lightning_gpt.arguments.completion import complete

            complete(COMMANDS, dispatch)
        dispatch(args)
    except Interrupted as stop:
        from lightning_gpt.arguments.program import program_name

        again = args if COMMANDS[args[0]].resumes else ["fit", "--ckpt_path", os.path.relpath(stop.path)]
        print(f"\n{stop}\n  go on with  {program_name()} {shlex.join(again)}", file=sys.stderr)
        return 128 + stop.signal
    except BaseException as error:
        if debug:
            raise
        if isinstance(error, KeyboardInterrupt) or interrupt.came():
            print(interrupt.SAID, end="", file=sys.stderr)
            return interrupt.STATUS
        said = mistake(error)
        if said is None:
            raise
        complain(said)
        return 2
    reason = lost_output()
    saves = args[:1] and args[0] in COMMANDS and COMMANDS[args[0]].saves
    if reason is None or saves or isinstance(reason, BrokenPipeError):  # that one has a reader who has read enough
        return 0
    complain(f"can't write to standard output ({reason.strerror or reason})")
    return 1


def mistake(error: BaseException) -> str | None:
    """Says in a line what the user can do about an error; None for a fault of this program."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory: take a smaller text, network or checkpoint"
    if isinstance(error, OSError) and error.filename is not None:  # no right, too long a name, a folder for a file
        return f"can't use {error.filename}: {error.strerror}"
    return None


def complain(text: str) -> None:
    """Prints what is wrong to standard error."""
    print(f"{styled('lightning-gpt:', 'bold', 'red', stream=sys.stderr)} {visible(text)}", file=sys.stderr)


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
        print("\n  --debug anywhere shows an error's traceback")
    elif command == "--version":
        from lightning_gpt import __version__

        print(__version__)
    elif command in COMMANDS:
        COMMANDS[command](command, rest)
    else:
        raise UserError(f"no command {command!r}; {did_you_mean(command, COMMANDS)}")
