"""A request to stop is a file of one name; nothing else that has the name is touched."""

import pytest

from lightning_gpt.runs.stop import FILE, ask_to_stop, asked_to_stop, withdraw


def test_asking_twice_is_asking_once(tmp_path):
    assert not asked_to_stop(tmp_path)
    ask_to_stop(tmp_path)
    ask_to_stop(tmp_path)
    assert asked_to_stop(tmp_path)
    withdraw(tmp_path)
    withdraw(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_link_in_a_folder_that_was_sent_leads_nowhere(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        ask_to_stop(tmp_path / "run")
    assert not (tmp_path / "outside").exists()


def test_a_folder_of_that_name_is_no_request(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(FileExistsError):
        ask_to_stop(tmp_path)
    assert not asked_to_stop(tmp_path)
    withdraw(tmp_path)
    assert (tmp_path / FILE).is_dir()
