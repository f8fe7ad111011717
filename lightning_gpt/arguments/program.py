"""Names this program and TensorBoard as they can be typed again, and the version that runs."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from lightning_gpt import __version__


def program_name() -> str:
    """Returns this program as a shell takes it; from Python, where another program runs, the installed one."""
    return _python("lightning_gpt") if _is_module() else shlex.quote(str(_script()))


def tensorboard_name() -> str:
    """Returns the TensorBoard beside this program, as a shell takes it."""
    return _python("tensorboard.main") if _is_module() else shlex.quote(str(_script().with_name("tensorboard")))


def _is_module() -> bool:
    return Path(sys.argv[0]).name == "__main__.py" and Path(sys.argv[0]).is_file()


def _script() -> Path:
    program = Path(sys.argv[0])
    return _as_typed(program) if program.is_file() and program.stem == "lightning-gpt" else Path("lightning-gpt")


def _python(module: str) -> str:
    return f"{shlex.quote(str(_as_typed(Path(sys.executable))))} -m {module}"


def _as_typed(program: Path) -> Path:
    """Shortens a program's path to its name, where a shell finds the same one by that."""
    found = shutil.which(program.name)
    if found and Path(found).absolute() == program.absolute():
        return Path(program.name)
    return Path(min(os.path.relpath(program), str(program.absolute()), key=len))


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
