"""What a launcher has written into the environment is checked before anything that reads it is imported."""

import pytest

from lightning_gpt.cli import COMMANDS, main

WRONG = [
    ("RANK", "abc"), ("RANK", "1.5"), ("LOCAL_RANK", ""), ("WORLD_SIZE", "-1"), ("WORLD_SIZE", "0"), ("NODE_RANK", "q"),
    ("SLURM_PROCID", "x"), ("SLURM_LOCALID", ""), ("SLURM_NTASKS", "two"), ("MASTER_PORT", "abc"),
    ("MASTER_PORT", "99999"), ("MASTER_PORT", "-1"), ("JSM_NAMESPACE_RANK", "x"), ("RANK", "\u0663"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_a_wrong_number(monkeypatch, capsys, command):
    for name, value in WRONG:
        with monkeypatch.context() as set_:
            set_.setenv(name, value)
            assert main([command]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"environment variable {name} must be a whole number" in line and repr(value) in line


def test_several_are_named_at_once(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "x")
    monkeypatch.setenv("MASTER_PORT", "y")
    assert main(["fit"]) == 2
    assert "2 problems" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_a_number_that_is_left_of_another_run_is_named(trained, name):
    said = trained("validate", "--ckpt_path=best", status=2, **{name: "1"}).stderr
    assert "this is a further process of a run" in said and len(said.splitlines()) == 1
