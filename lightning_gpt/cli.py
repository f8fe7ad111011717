"""The one door: finds the command, runs it, and turns a user's mistake into one line and exit status 2.

Nothing heavy is imported before it is known which command needs it.
"""

import difflib
import os
import shlex
import sys
import warnings
from importlib import import_module

from lightning_gpt.errors import UserError
from lightning_gpt.terminal import styled

COMMANDS = {
    "fit": "train a network; LightningCLI: --config, any option, --print_config",
    "validate": "the exact loss of a checkpoint on the held-out text",
    "test": "the same, logged as test/",
    "predict": "the nats of every held-out character",
    "generate": "write text with a checkpoint",
    "data": "fetch a corpus and prepare it, without training",
    "ladder": "train the lecture's rungs in order: table, picture, curves",
    "verify-resume": "kill a run again and again, and compare it with one that was left alone",
    "report": "a run on one page of HTML: curves, samples, surprises, attention",
    "doctor": "do text, recipe and machine suit each other, and how long will it take",
    "compare": "two checkpoints on the same held-out text: which is better, and is that chance",
    "bench": "measure this machine, and this project on it beside a plain PyTorch loop",
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
            from lightning_gpt.commands.completion import complete

            complete(COMMANDS, dispatch)
        return dispatch(args)
    except UserError as error:
        if debug:
            raise
        print(f"{styled('lightning-gpt:', 'bold', 'red', stream=sys.stderr)} {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if debug:
            raise
        print("\nlightning-gpt: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as in: generate | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def entry() -> None:
    """The console script."""
    sys.exit(main())


def dispatch(args: list[str]) -> int:
    """Runs the command that `args` begin with.

    Raises:
        UserError: whatever the command complains of, or no such command.
    """
    command, *rest = args or ["--help"]
    if command in ("-h", "--help"):
        width = max(map(len, COMMANDS))
        print("usage: lightning-gpt COMMAND [options], lightning-gpt COMMAND --help\n")
        print("\n".join(f"  {name:{width}}  {line}" for name, line in COMMANDS.items()))
        print("\n  --debug anywhere shows the traceback behind an error message")
    elif command == "--version":
        from lightning_gpt import __version__

        print(__version__)
    elif command in ("generate", "data", "bench", "compare", "report"):
        from lightning_gpt.commands.parsing import call

        call(getattr(import_module(f"lightning_gpt.commands.{command}"), command), rest)
    elif command == "verify-resume":
        from lightning_gpt.commands import verify_resume

        verify_resume.run(rest)
    elif command in COMMANDS:
        return train(command, rest)
    else:
        near = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        raise UserError(f"no command {command!r}; {hint}")
    return 0


def train(command: str, args: list[str]) -> int:
    """Runs a command that needs Lightning; says how to go on where it was told to stop."""
    # from within Lightning 2.6.6, of a torch newer than it knows
    warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)")
    from lightning_gpt.commands.programs import program_name
    from lightning_gpt.training.checkpoints import Interrupted

    try:
        if command in ("doctor", "ladder"):
            import_module(f"lightning_gpt.commands.{command}").run(args)
        else:
            from lightning_gpt.commands import lightning

            lightning.run(command, args)
    except Interrupted as stop:
        resumed = ["ladder", *args] if command == "ladder" else ["fit", "--ckpt_path", os.path.relpath(stop.path)]
        again = shlex.join(resumed)
        print(f"\n{stop}\n  go on with  {program_name()} {again}", file=sys.stderr)
        return 128 + stop.signal
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
            raise UserError(
                "out of memory: lower --data.batch_size (and raise --trainer.accumulate_grad_batches as much), "
                "--data.block_size, or the network's n_layer and n_embd"
            ) from error
        raise
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning turns one into an exit without a word
            raise KeyboardInterrupt from None
        raise
    return 0
