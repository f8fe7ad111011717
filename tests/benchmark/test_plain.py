"""The loop we are measured against is the recipe that it claims to be."""

import json
import sys

import pytest

from lightning_gpt.benchmark import plain
from lightning_gpt.text import find_corpus
from lightning_gpt.training import Schedule


def test_its_schedule_is_the_recipes():
    schedule = Schedule(warmup_steps=100, decay="cosine", final=0.1)
    for step in (0, 50, 99, 100, 1000, 1999):
        assert plain.learning_rate(step, 2000) == pytest.approx(1e-3 * schedule(step, 2000))


def test_it_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plain", "--steps=30", f"--data_dir={tmp_path}"])
    monkeypatch.setattr(plain, "BATCHES", 1)
    monkeypatch.setattr(plain, "find_corpus", lambda name, data_dir: find_corpus("python-docs"))
    plain.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 2.0 < result["val_loss"] < 4.5 and result["step_seconds"] > 0
