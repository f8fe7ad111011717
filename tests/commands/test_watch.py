import os

import pytest

from lightning_gpt.commands import watch as command
from lightning_gpt.runs.folders import newest_run


@pytest.fixture
def served(monkeypatch):
    """Servers that a command has made; each has ended before it answers anybody."""
    found = []
    monkeypatch.setattr(command, "serve", found.append)
    return found


def test_the_address_is_said(trained, served):
    said = trained("watch", "--port=0").stdout
    (server,) = served
    assert f"runs/gpt/version_0 is shown at  {server.address}\n" in said


def test_the_newest_run_is_shown_always(tmp_path, shell, served):
    for name, time in (("a/version_0", 1000), ("b/version_1", 2000)):
        file = shell.folder / "runs" / name / "events.out.tfevents.1.x"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (time, time))
    runs = shell.folder / "runs"
    assert newest_run(runs) == runs / "b/version_1" and newest_run(runs / "a/version_0") == runs / "a/version_0"
    os.utime(runs / "a/version_0/events.out.tfevents.1.x", (3000, 3000))  # it is trained on meanwhile
    assert newest_run(runs) == runs / "a/version_0"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "no run in nowhere/ yet: begin one first"),
        (["--port=70000"], "from 0 to 65535, not 70000"),
        (["runs", "gpt"], "unexpected 'gpt'"),
    ],
)
def test_mistakes_are_said_in_a_line(trained, served, args, said):
    assert said in trained("watch", *args, status=2).stderr
