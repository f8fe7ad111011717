"""How a command ends: well, in a few lines, in time. For tests that try hundreds of them in this process."""

import re
import shutil
import signal

from conftest import Shell

from lightning_gpt.errors import UserError

SECONDS = 20  # of processor time that a command may take; by the clock far more: a test machine is busy
LINES = 3  # that it may say on standard error


class TooLong(BaseException):
    """A command took longer than it may."""


def too_long(*_):
    raise TooLong


def wrong_end(shell, args):
    """What is wrong with how a command ends, in a line; None if nothing is."""
    before = {number: signal.signal(number, too_long) for number in (signal.SIGALRM, signal.SIGPROF)}
    signal.alarm(15 * SECONDS)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        done = shell(*args, status=None)
    except TooLong:
        return "does not end"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    lines = done.stderr.strip().splitlines()
    if done.returncode not in (0, 2) or "Traceback" in done.stderr:
        return f"status {done.returncode}: {done.stderr[-200:]!r}"
    several = re.match(r"lightning-gpt: (\d+) problems:", done.stderr)  # of which each has a line
    if len(lines) > (min(int(several[1]), UserError.MOST) + 2 if several else LINES):
        return f"{len(lines)} lines: {lines[:4]}"
    return None


class Place(Shell):
    """A folder in which everything is as it was before each command."""

    def __init__(self, folder):
        super().__init__(folder / "now")
        self.folder.mkdir()
        self.kept = folder / "kept"

    def keep(self):
        """Remembers the folder as it is."""
        shutil.copytree(self.folder, self.kept, symlinks=True)

    def restore(self):
        """Makes it so again: what is new goes, what is changed or gone comes back."""
        kept = {path.relative_to(self.kept): path for path in self.kept.rglob("*")}
        for path in sorted(self.folder.rglob("*"), reverse=True):
            was = kept.get(path.relative_to(self.folder))
            if was is None or was.is_dir() != path.is_dir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, path in kept.items():
            now = self.folder / name
            if path.is_dir():
                now.mkdir(exist_ok=True)
            elif not now.exists() or now.stat().st_mtime_ns != path.stat().st_mtime_ns:
                shutil.copy2(path, now)
