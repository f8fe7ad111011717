"""Names this program and TensorBoard as they can be typed again, and the version that runs."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from lightning_gpt import __version__


def program_name() -> str:
    """Returns this program's name as it was typed; from Python, where another program was, the installed one's."""
    program = sys.argv[0]
    if not Path(program).is_file() or Path(program).stem not in ("lightning-gpt", "__main__"):
        return "lightning-gpt"
    if Path(program).name == "__main__.py":
        return f"{Path(sys.executable).name} -m lightning_gpt"
    found = shutil.which(Path(program).name)
    return Path(program).name if found and Path(found).samefile(program) else os.path.relpath(program)


def tensorboard_name() -> str:
    """Returns the name of the TensorBoard beside this program."""
    program = Path(program_name())
    if program.name == "lightning-gpt":
        return str(program.with_name("tensorboard"))
    return f"{Path(sys.executable).name} -m tensorboard.main"


def command() -> str:
    """Returns the command line that was typed."""
    return f"{program_name()} {shlex.join(sys.argv[1:])}"


def version() -> str:
    """Returns this program's version, with the git commit where it runs from a checkout."""
    said = f"lightning-gpt {__version__}"

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # else the checkout is another program's
        commit = git("describe", "--always", "--dirty=, changed since", "--exclude=*", "--abbrev=12")
    except (OSError, subprocess.SubprocessError):
        return said
    return f"{said}, git commit {commit}"
