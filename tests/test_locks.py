"""Who looks whether a run goes on keeps nobody from beginning it."""

import fcntl
import os

from lightning_gpt.files import is_locked, locked


def test_a_folder_is_locked_as_long_as_its_block_lasts(tmp_path):
    assert is_locked(tmp_path) is False
    with locked(tmp_path) as mine, locked(tmp_path) as others:
        assert mine and not others
        assert is_locked(tmp_path) is True
    assert is_locked(tmp_path) is False
    assert is_locked(tmp_path / "missing") is None


def test_one_who_looks_at_that_very_instant_is_waited_for(tmp_path, monkeypatch):
    looker = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(looker, fcntl.LOCK_SH)
    real, asked = fcntl.flock, []

    def flock(handle, kind):
        asked.append(kind)
        if asked.count(fcntl.LOCK_EX | fcntl.LOCK_NB) == 3:
            real(looker, fcntl.LOCK_UN)
        real(handle, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path) as mine:
        assert mine and asked.count(fcntl.LOCK_UN) == 2
    os.close(looker)
