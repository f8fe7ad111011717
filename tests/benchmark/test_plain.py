"""The loop we are measured against is the recipe that it claims to be."""

import json
import sys
from dataclasses import replace

import pytest
from conftest import ROOT

from lightning_gpt.benchmark import plain
from lightning_gpt.launch.recipe import read_recipe
from lightning_gpt.text import find_corpus
from lightning_gpt.training import Schedule


def test_its_schedule_is_the_recipes():
    schedule = Schedule(warmup_steps=100, decay="cosine", final=0.1)
    for step in (0, 50, 99, 100, 1000, 1999):
        assert plain.learning_rate(step, 2000) == pytest.approx(1e-3 * schedule(step, 2000))


@pytest.mark.parametrize("recipe", [plain.CPU, plain.GPU], ids=["cpu", "gpu"])
def test_its_sizes_are_the_recipes(recipe):
    config = read_recipe(ROOT / "configs" / f"nanogpt-{'cpu' if recipe is plain.CPU else 'gpu'}.yaml")
    data, sizes = config["data"], config["model"]["network"]["init_args"]
    assert (recipe.block_size, recipe.batch_size) == (data["block_size"], data["batch_size"])
    assert recipe.steps == config["trainer"]["max_steps"]
    assert (recipe.n_layer, recipe.n_head, recipe.n_embd) == (sizes["n_layer"], sizes["n_head"], sizes["n_embd"])
    assert recipe.dropout == sizes.get("dropout", 0.0)


def test_it_trains(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plain", "--steps=30", f"--data_dir={tmp_path}"])
    monkeypatch.setattr(plain, "CPU", replace(plain.CPU, batches=1))
    monkeypatch.setattr(plain, "find_corpus", lambda name, data_dir: find_corpus("python-docs"))
    plain.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 2.0 < result["val_loss"] < 4.5 and result["step_seconds"] > 0
