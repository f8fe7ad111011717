"""A function's parameters are a command's options; what was typed as a text stays that text."""

import pytest

from lightning_gpt import UserError
from lightning_gpt.arguments.call import call


def command(a: str, number: int = 3, text: str | None = None, loud: bool = False, share: float = 0.5):
    """Do something.

    Args:
        a: The first.
        number: How many.
        text: Some text.
        loud: Shout.
        share: A part.
    """
    return a, number, text, loud, share


def passing(own: int = 1, fit_options: tuple = ()):
    """Pass the rest on."""
    return own, list(fit_options)


@pytest.mark.parametrize("text", ["#", "~", "---", "null", "# Soup", "-", "3", "[1]", "true", "\\n", " ", "a=b", "--x"])
def test_a_text_stays_what_was_typed(text):
    assert call("do", command, ["A", "--text", text])[2] == text
    assert call("do", command, ["A", f"--text={text}"])[2] == text


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ([], False),
        (["--loud"], True),
        (["--loud", "true"], True),
        (["--loud=false"], False),
        (["--loud", "--number=4"], True),
    ],
)
def test_a_switch(args, value):
    assert call("do", command, ["A", *args])[3] is value


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "the following arguments are required: a"),
        (["A", "--number=x"], "--number takes a whole number, not 'x'"),
        (["A", "--number=1e3"], "--number takes a whole number, not '1e3'"),
        (["A", "--share=half"], "--share takes a number, not 'half'"),
        (["A", "--loud=maybe"], "--loud takes true or false, not 'maybe'"),
        (["A", "--nubmer=3"], "there is no option nubmer; did you mean number?"),
        (["A", "--number"], "--number"),
        (["A", "--number", "--text", "x"], "--number needs a value"),
        (["A", "B"], "unexpected 'B'"),
    ],
)
def test_complaints(args, says):
    with pytest.raises(UserError, match=says.replace("?", r"\?").replace("(", r"\(")):
        call("do", command, args)


def test_what_it_does_not_know_is_passed_on():
    rest = ["--config=x.yaml", "--trainer.max_steps", "5", "text"]
    assert call("pass", passing, [*rest[:1], "--own=2", *rest[1:]]) == (2, rest)


def test_help_is_the_docstring(capsys):
    with pytest.raises(SystemExit, match="0"):
        call("do", command, ["--help"])
    out = capsys.readouterr().out
    assert "Do something." in out and "How many. (default: 3)" in out and "usage: lightning-gpt do" in out


def by_name(a: str, *, to: str, number: int = 3):
    """Do something to something.

    Args:
        a: The first.
        to: Where.
        number: How many.
    """
    return a, to, number


def test_what_python_takes_by_name_only_must_be_given_by_name():
    assert call("do", by_name, ["A", "--to", "--x"]) == ("A", "--x", 3)
    with pytest.raises(UserError, match="the following arguments are required: --to"):
        call("do", by_name, ["A"])
