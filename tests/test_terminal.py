import io

import pytest

from lightning_gpt.terminal import row, styled, visible


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
