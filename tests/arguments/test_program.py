"""Programs are named so that a shell finds them by that."""

import shlex
import sys
from pathlib import Path

from lightning_gpt.arguments.program import program_name, tensorboard_name


def script(folder, name="lightning-gpt"):
    folder.mkdir()
    path = folder / name
    path.touch(mode=0o755)
    return path


def test_a_folder_with_blanks_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script(tmp_path / "my env"))])
    monkeypatch.chdir(tmp_path)
    assert program_name() == "'my env/lightning-gpt'" and tensorboard_name() == "'my env/tensorboard'"


def test_what_a_shell_finds_by_name_has_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(script(tmp_path / "bin"))])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert (program_name(), tensorboard_name()) == ("lightning-gpt", "tensorboard")


def test_a_python_that_a_shell_would_not_find_has_its_folder(tmp_path, monkeypatch):
    python, other = script(tmp_path / "my env", "python"), script(tmp_path / "bin", "python")
    module = script(tmp_path / "lightning_gpt", "__main__.py")
    monkeypatch.setattr(sys, "argv", [str(module)])
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(other.parent))
    name, *rest = shlex.split(program_name())
    assert Path(name).absolute() == python and rest == ["-m", "lightning_gpt"]
    monkeypatch.setenv("PATH", str(python.parent))
    assert tensorboard_name() == "python -m tensorboard.main"


def test_another_program_names_the_installed_one(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["notebook"])
    assert (program_name(), tensorboard_name()) == ("lightning-gpt", "tensorboard")
