"""Ctrl-C at every instant of a process: one line, never a traceback. The run that trains: see test_cli."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, TINY

from lightning_gpt.interrupt import SAID, STATUS

HIT = "import os, signal\ndef hit(): os.kill(os.getpid(), signal.SIGINT)\n"
MOMENTS = {
    "while a library is imported, which makes another error of it": (
        "open('lib.py', 'w').write('import program\\ntry: program.hit()\\nexcept BaseException: raise ImportError')\n"
        "import lib"
    ),
    "in a destructor, which cannot raise": "class A:\n def __del__(self): hit()\na = A()\ndel a",
    "where something else raises for it": "try: hit()\nexcept KeyboardInterrupt: raise ValueError('from a library')",
    "where it looks like a user's mistake": (
        "from lightning_gpt import UserError\ntry: hit()\nexcept KeyboardInterrupt: raise UserError('a closed file')"
    ),
    "while a run is being saved": (
        "from lightning_gpt import interrupt\ninterrupt.end_at_next()\ntry: hit()\nfinally: open('closed', 'w')"
    ),
    "twice": "try: hit()\nfinally: hit()",
    "in the open": "hit()",
}


def ended(folder, code, **options):
    """Runs code as a command of the program."""
    (folder / "program.py").write_text(f"{HIT}def command(args):\n " + code.replace("\n", "\n "))
    start = (
        "import sys\nfrom lightning_gpt import __main__, cli\nimport program\ncli.dispatch = program.command\n"
        "sys.argv[1:] = []\n__main__.entry()"
    )
    path = f"{ROOT}{os.pathsep}{folder}"
    return subprocess.run(
        [sys.executable, "-c", start], cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
        text=True, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_ends_in_one_line(tmp_path, moment):
    done = ended(tmp_path, MOMENTS[moment])
    assert (done.returncode, done.stderr) == (STATUS, SAID) and not (tmp_path / "closed").exists()


def test_what_is_open_is_closed(tmp_path):
    done = ended(tmp_path, "try: hit()\nfinally: open('closed', 'w').close()")
    assert done.stderr == SAID and (tmp_path / "closed").exists()


def test_an_error_without_an_interrupt_is_shown(tmp_path):
    done = ended(tmp_path, "raise ValueError('a fault of ours')")
    assert done.returncode == 1 and "ValueError: a fault of ours" in done.stderr


def test_after_the_end_there_is_nothing_to_say(tmp_path):
    done = ended(tmp_path, "import atexit\natexit.register(hit)")
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_who_ignores_it_goes_on(tmp_path):
    """A background job of a script, which the terminal's Ctrl-C is not meant for."""
    done = ended(tmp_path, "hit()", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("command", ["fit", "resume", "validate", "generate"])
def test_at_many_instants(shell, command, twice):
    """From the end of Python's own start on, to the whole group; what was saved is whole, and the run goes on."""
    recipe = ["--data.corpus=text.txt", *TINY]
    shell("fit", *recipe)
    args = {
        "fit": ["fit", *recipe, "--trainer.max_steps=400"], "validate": ["validate", "--ckpt_path=best"],
        "resume": ["fit", "--ckpt_path=last", "--trainer.max_steps=400"], "generate": ["generate"],
    }[command]  # fmt: skip
    start = time.monotonic()
    shell.process(*args)
    span, dice = time.monotonic() - start, random.Random(1)
    for _ in range(15):
        process = shell.start(*args, start_new_session=True)
        for wait in [dice.uniform(0.3, span)] + [dice.choice([0.001, 0.02, 0.2])] * twice:
            time.sleep(wait)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode in (0, STATUS, -signal.SIGINT), err
        assert not re.search("Traceback|Exception ignored|Error", err) and len(err.strip().splitlines()) <= 6, err
        shell("validate", "--ckpt_path=last")
