"""Every YAML that ships is parsed, and its network is made."""

import shutil
from pathlib import Path

import pytest
from conftest import ROOT

from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.training import LanguageModel

CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.yaml") if "base" not in (p.stem, p.parent.name))


def prepared(*args):
    found = prepare(configure("fit", list(args)))
    assert found.problems == []
    return found


def parsed(config: Path, *more):
    after_another = config.stem in ("cluster", "fine-tune")  # which say nothing of the network
    files = [config.with_name("gpu.yaml"), config] if after_another else [config]
    return prepared(*(f"--config={f}" for f in files), *more)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: str(p.relative_to(ROOT / "configs")))
def test_it_is_parsed_and_its_network_made(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    corpus = [] if config.stem == "addition" else ["--data.corpus=python-docs"]  # the one that is made here
    cli = parsed(config, *corpus, "--trainer.accelerator=cpu", "--trainer.precision=32-true")
    assert isinstance(cli.model, LanguageModel)
    cli.datamodule.setup("fit")
    net = cli.model.make_network(len(cli.datamodule.tokens.tokenizer), cli.datamodule.block_size)
    assert net.block_size == cli.datamodule.block_size
    assert cli.model.optimizer_recipe.build(net).param_groups
    assert cli.trainer.max_steps > 0
    assert cli.configuration.config.name == config.stem or config.parent.name != "configs"


def test_a_configuration_of_version_0_1_is_understood(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.yaml").write_text(
        "model:\n  network:\n    class_path: lightning_gpt.ladder.ModernGPT\n"
        "    init_args: {n_layer: 1, own_head: false, convolution: 2}\n"
    )
    net = prepared("--config=old.yaml", "--data.corpus=python-docs").model.make_network(65, 8)
    assert (net.config.tie_weights, net.config.conv_width, net.config.n_layer) == (True, 2, 1)
    (tmp_path / "short.yaml").write_text("model: {network: AttendAndThink}\n")
    net = prepared("--config=short.yaml", "--data.corpus=python-docs").model.make_network(65, 8)
    assert type(net).__name__ == "FeedForwardGPT"


def test_there_are_some():
    assert {"bigram.yaml", "nanogpt-cpu.yaml", "cpu.yaml", "gpu.yaml"} <= {p.name for p in CONFIGS}


def test_nanogpts_recipe_to_the_letter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli = parsed(ROOT / "configs" / "nanogpt-cpu.yaml", "--data.corpus=python-docs")
    net = cli.model.make_network(65, cli.datamodule.block_size)
    assert net.sizes == {
        "vocab_size": 65, "block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.0, "bias": False,
        "tanh_gelu": False,
    }  # fmt: skip
    recipe = cli.model.optimizer_recipe
    assert (recipe.lr, tuple(recipe.betas), recipe.weight_decay) == (1e-3, (0.9, 0.99), 0.1)
    assert (cli.datamodule.batch_size, cli.trainer.max_steps, cli.trainer.gradient_clip_val) == (12, 2000, 1.0)
    schedule = cli.model.schedule
    assert (schedule.warmup_steps, schedule.decay, schedule.final) == (100, "cosine", 0.1)
