"""The program: python -m lightning_gpt, or lightning-gpt. Takes over Ctrl-C before it imports anything heavy."""

import atexit
import os
import sys

from lightning_gpt import interrupt


def entry() -> None:
    """Runs the command line; exits with the command's status.

    The process ends when Python has waited for its threads and called all that libraries want called at the end; taking
    their hundreds of thousands of objects apart, a second's work, is left out.
    """
    interrupt.take_over()
    from lightning_gpt.terminal import open_streams

    open_streams()
    status: object = 1  # of what Python itself prints

    def leave() -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(status if isinstance(status, int) else 1)

    atexit.register(leave)  # before all others: it is the last to be called
    from lightning_gpt.cli import main

    try:
        status = main()
    except SystemExit as stop:
        status = stop.code or 0
        raise
    finally:
        interrupt.let_go()
    sys.exit(status)


if __name__ == "__main__":
    entry()
