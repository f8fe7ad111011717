"""The shell that tests type into: what runs in this process is to that command as a process of its own would be."""

import os
import random
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY


def surroundings():
    """All that a command may change of its process."""
    drawn = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    streams = sys.stdin, sys.stdout, sys.stderr
    return [Path.cwd(), dict(os.environ), list(sys.argv), warnings.filters[:], handlers, streams, *drawn]


def test_a_command_leaves_nothing_of_itself(shell):
    before = surroundings()
    shell("fit", "--data.corpus=text.txt", *TINY)
    assert surroundings() == before


@pytest.mark.parametrize("way", ["__call__", "process"], ids=["in this process", "in its own"])
def test_a_command_fails_its_test_by_another_status_only(shell, way):
    call = getattr(shell, way)
    assert "no command 'trian'" in call("trian", status=2).stderr
    with pytest.raises(AssertionError, match="no command 'trian'"):
        call("trian")


def test_a_command_has_the_environment_of_its_test_and_is_given_more(shell, monkeypatch):
    seen = {}
    monkeypatch.setattr("conftest.main", lambda args: seen.update(os.environ, cwd=Path.cwd(), typed=sys.argv[1:]) or 0)
    monkeypatch.setenv("OF_THE_TEST", "1")
    shell("data", "--corpus=text.txt", OF_THE_CALL="2")
    assert (seen["OF_THE_TEST"], seen["OF_THE_CALL"], seen["OMP_NUM_THREADS"]) == ("1", "2", "1")
    assert seen["cwd"] == shell.folder and seen["typed"] == ["data", "--corpus=text.txt"]
    assert "OF_THE_CALL" not in os.environ
