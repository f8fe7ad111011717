"""How this program and its companion were called, as they can be typed again."""

import os
import shutil
import sys
from pathlib import Path


def program_name() -> str:
    """This program."""
    program = sys.argv[0]
    if Path(program).name == "__main__.py":
        return f"{Path(sys.executable).name} -m lightning_gpt"
    found = shutil.which(Path(program).name)
    return Path(program).name if found and Path(found).samefile(program) else os.path.relpath(program)


def tensorboard_name() -> str:
    """TensorBoard beside this program."""
    program = Path(program_name())
    if program.name == "lightning-gpt":
        return str(program.with_name("tensorboard"))
    return f"{Path(sys.executable).name} -m tensorboard.main"
