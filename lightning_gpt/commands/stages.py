"""fit, validate, test, predict: runs one of the Trainer's stages, in three steps."""

from lightning_gpt.arguments.program import command
from lightning_gpt.launch.configuration import Stage, configure
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.running import run
from lightning_gpt.launch.within import within_budget
from lightning_gpt.machine import process_age


def stage(name: Stage, args: list[str]) -> None:
    """Runs a stage with the command line's arguments.

    Raises:
        UserError: all that is wrong with them, the text, the network or the machine.
        Interrupted: a signal stopped the run, which was saved.
    """
    args, callbacks = within_budget(args, process_age()) if name == "fit" else (args, [])
    run(prepare(configure(name, args, command()), callbacks))
