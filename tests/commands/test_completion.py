import functools
import os
import sys

import argcomplete
import pytest


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("lightning-gpt ", {"fit", "generate", "doctor", "verify-resume"}, {"--help"}),
        ("lightning-gpt gen", {"generate"}, {"fit"}),
        ("lightning-gpt generate --te", {"--temperature"}, {"--top_k"}),
        ("lightning-gpt generate --cached ", {"true", "false"}, {"--top_k"}),
        ("lightning-gpt ladder --ru", {"--rungs", "--runs_dir"}, {"--configs"}),
        ("lightning-gpt doctor --j", {"--json"}, set()),
        ("lightning-gpt fit --data.block", {"--data.block_size"}, {"--data.batch_size"}),
        ("lightning-gpt validate --ckpt", {"--ckpt_path"}, set()),
        ("lightning-gpt compare --dev", {"--device"}, set()),
    ],
)
def test_what_the_shell_is_offered(shell, monkeypatch, line, offered, not_offered):
    """In this process, which argcomplete must not end, and whose descriptor 9 is not for its complaints."""
    monkeypatch.setattr(argcomplete, "autocomplete", functools.partial(argcomplete.autocomplete, exit_method=sys.exit))
    monkeypatch.setattr(os, "fdopen", refuse)
    parser = argcomplete.finders.IntrospectiveArgumentParser  # jsonargparse replaces a method of it
    monkeypatch.setattr(parser, "parse_known_args", parser.parse_known_args)
    given = answer(shell, shell, line)
    assert offered <= given and not not_offered & given, given


def test_a_shell_is_answered_by_the_program_itself(shell):
    assert "--temperature" in answer(shell, shell.process, "lightning-gpt generate --te")


def refuse(*_):
    raise OSError


def answer(shell, call, line):
    """The words that the shell is offered after this line."""
    file = shell.folder / "answer"
    call(
        _ARGCOMPLETE="1", COMP_LINE=line, COMP_POINT=str(len(line)), COMP_TYPE="9",
        _ARGCOMPLETE_STDOUT_FILENAME=str(file), _ARGCOMPLETE_SUPPRESS_SPACE="1", _ARGCOMPLETE_IFS="\n",
    )  # fmt: skip
    return {word.strip() for word in file.read_text().split("\n")}
