"""python -m lightning_gpt."""

import sys

from lightning_gpt.cli import main

if __name__ == "__main__":
    sys.exit(main())
