"""What nothing here uses is not imported, whatever else is installed."""

import os
import subprocess
import sys
from importlib import metadata

import pytest

from lightning_gpt.imports import UNUSED, unused_hidden

PROGRAM = """
from lightning_gpt.cli import main
try:
    main(["validate", "--help"])
finally:
    import sys
    print(sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


def test_they_are_hidden_inside_the_block_only(monkeypatch):
    monkeypatch.setattr(metadata, "distribution", lambda name: type("Installed", (), {"version": "1.0"}))
    for name in UNUSED:
        monkeypatch.delitem(sys.modules, name, raising=False)
    real = metadata.version
    with unused_hidden():
        kept = metadata.version
        assert kept("torch") == "1.0"
        for name in UNUSED:
            with pytest.raises(metadata.PackageNotFoundError):
                kept(name)
            with pytest.raises(ModuleNotFoundError):
                __import__(name)
    assert metadata.version is real and not UNUSED & sys.modules.keys()
    assert {kept(name) for name in UNUSED} == {"1.0"}


def test_what_is_imported_already_stays(monkeypatch):
    monkeypatch.setattr(metadata, "distribution", lambda name: type("Installed", (), {"version": "1.0"}))
    monkeypatch.setitem(sys.modules, "scipy", sys)
    with unused_hidden():
        assert __import__("scipy") is sys and metadata.version("scipy") == "1.0"
    assert sys.modules["scipy"] is sys


def test_a_command_imports_none_of_them(tmp_path):
    for name in UNUSED:  # installed, and broken
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("1 / 0")
        (tmp_path / f"{name}-9.9.dist-info").mkdir()
        (tmp_path / f"{name}-9.9.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: 9.9\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=False)
    assert "usage" in done.stdout, done.stderr
    assert "'lightning'" in done.stderr and not [name for name in UNUSED if f"'{name}'" in done.stderr]
