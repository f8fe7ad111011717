"""A request to stop a run: a file in its folder, which its fit looks for. No process is named, and none gets a signal.

So nothing that lies in a folder can have another process stopped, and it works for a run in a container or on another
machine that shares the folder. `touch runs/gpt/version_0/stop` is such a request, too.
"""

from pathlib import Path

FILE = "stop"


def ask_to_stop(folder: Path) -> None:
    """Asks the run in `folder` to stop; what has that name already stays as it is.

    Raises:
        FileExistsError: something that is no request has its name.
        OSError: no right to write there, or no space.
    """
    try:
        open(folder / FILE, "x").close()  # never through a link
    except FileExistsError:
        if not asked_to_stop(folder):
            raise


def asked_to_stop(folder: Path) -> bool:
    """Returns whether the run in `folder` is asked to stop."""
    return (folder / FILE).is_file()


def withdraw(folder: Path) -> None:
    """Removes the request, if there is one: it was for a fit that has ended.

    Raises:
        OSError: no right to.
    """
    if asked_to_stop(folder):
        (folder / FILE).unlink(missing_ok=True)
