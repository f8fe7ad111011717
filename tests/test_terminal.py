import io
import os
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from conftest import ROOT, TINY

from lightning_gpt.cli import COMMANDS, main
from lightning_gpt.runs import Run
from lightning_gpt.terminal import Outlet, lost_output, row, styled, visible


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_colours_go_to_terminals_only(monkeypatch):
    assert styled("loss", "bold", "red", stream=Terminal()) == "\033[1;31mloss\033[0m"
    assert styled("loss", "bold", stream=io.StringIO()) == "loss"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("loss", "bold", stream=Terminal()) == "loss"
    monkeypatch.setenv("NO_COLOR", "")  # empty is unset, says no-color.org
    monkeypatch.setenv("TERM", "dumb")
    assert styled("loss", "bold", stream=Terminal()) == "loss"


def test_rows_are_no_wider_than_the_window(monkeypatch):
    text = "seven words that do not fit here " * 4
    monkeypatch.setenv("COLUMNS", "40")
    lines = row("text", text).splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 40
    assert lines[0].startswith("text     seven") and all(line.startswith(" " * 9) for line in lines[1:])


def test_control_characters_reach_no_terminal():
    assert visible("a\x1b[2J\x07é\nb\x9b") == "a□[2J□é\nb□"


class Nowhere(io.RawIOBase):
    """A file that can't be written to."""

    def __init__(self, error):
        self.error = error

    def write(self, data):
        raise self.error

    def isatty(self):
        return False


GONE = [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device"), OSError(5, "Input/output error")]


@pytest.fixture(params=GONE, ids=["the reader has gone", "the disk is full", "the terminal is closed"])
def gone(request):
    """Why standard output is lost, inside `losing`."""
    return request.param


def losing(error):
    return redirect_stdout(io.TextIOWrapper(io.BufferedWriter(Outlet(Nowhere(error))), line_buffering=True))


def test_what_can_not_be_written_is_dropped(gone):
    with losing(gone):
        print("a line")
        print("x" * 10**6, end="")
        assert lost_output() is gone


def test_a_pipe_that_does_not_wait_is_waited_for():
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    size = 10**6  # more than a pipe holds
    reader = subprocess.Popen([sys.executable, "-c", f"import os\nprint(len(open({reads}, 'rb').read()))"],
                              pass_fds=[reads], stdout=subprocess.PIPE, text=True)  # fmt: skip
    os.close(reads)
    with open(writes, "wb", buffering=0) as file:
        stream = io.BufferedWriter(Outlet(file))
        stream.write(b"x" * size)
        stream.flush()
    assert reader.communicate()[0] == f"{size}\n"


def test_a_run_goes_on_without_its_output(gone, shell, monkeypatch):
    monkeypatch.chdir(shell.folder)
    with losing(gone):
        assert main(["fit", "--data.corpus=text.txt", *TINY]) == 0
    assert Run("runs/gpt/version_0").result.finished and Run("runs/gpt/version_0").last.is_file()


def test_a_text_is_written_to_its_file_all_the_same(gone, trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained.folder)
    with losing(gone):
        main(["generate", "--max_new_tokens=30", f"--out={tmp_path / 'out.txt'}"])
    assert len((tmp_path / "out.txt").read_text()) > 30


def test_a_text_that_nobody_reads_is_not_written_on(gone, trained, monkeypatch, capsys):
    monkeypatch.chdir(trained.folder)
    with losing(gone):
        status = main(["generate", f"--max_new_tokens={10**6}"])  # of which one is enough
    assert status == (0 if isinstance(gone, BrokenPipeError) else 1)


@pytest.mark.parametrize("command", ["--version", "--help", "validate --ckpt_path=best"])
def test_what_only_prints_says_that_its_output_is_lost(gone, trained, monkeypatch, capsys, command):
    monkeypatch.chdir(trained.folder)
    with losing(gone):
        status = main(command.split())
    said = f"lightning-gpt: can't write to standard output ({gone.strerror})\n"
    assert (status, capsys.readouterr().err) == ((0, "") if isinstance(gone, BrokenPipeError) else (1, said))


def test_these_save_what_they_do():
    assert {name for name, command in COMMANDS.items() if command.saves} == {
        "fit", "data", "ladder", "report", "page", "export", "import", "bench",
    }  # fmt: skip


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_file_does_not_get_the_number_of_a_closed_stream(tmp_path, redirection):
    code = (
        "import os, sys\nfrom lightning_gpt.terminal import open_streams\nopen_streams()\n"
        "file = open('saved', 'w')\nassert file.fileno() > 2 and sys.stdin.fileno() == 0\n"
        "print('out'), print('err', file=sys.stderr)"
    )
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$CODE" {redirection}'], cwd=tmp_path, check=False,
        env={**os.environ, "CODE": code, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "Error" not in done.stderr and (tmp_path / "saved").read_text() == ""


@pytest.mark.slow
def test_a_whole_run_is_read_by_head(shell):
    """Typed into a real shell, with its progress bar and its errors in the same pipe."""
    fit = ["fit", "--data.corpus=text.txt", *TINY, "--trainer.enable_progress_bar=true"]
    command = f'"{sys.executable}" -m lightning_gpt {" ".join(fit)} 2>&1 | head -n 1; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", command], cwd=shell.folder, env=shell.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\n0\n") and "Traceback" not in done.stdout and done.stderr == ""
    assert Run(shell.folder / "runs/gpt/version_0").result.finished
