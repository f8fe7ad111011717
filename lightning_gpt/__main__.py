"""The program: python -m lightning_gpt, or lightning-gpt. Takes over Ctrl-C before it imports anything heavy."""

import sys

from lightning_gpt import interrupt


def entry() -> None:
    """Runs the command line; exits with the command's status."""
    interrupt.take_over()
    from lightning_gpt.terminal import open_streams

    open_streams()
    from lightning_gpt.cli import main

    try:
        sys.exit(main())
    finally:
        interrupt.let_go()


if __name__ == "__main__":
    entry()
