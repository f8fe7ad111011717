"""Checkpoints and configurations of version 0.1 are understood."""

import pytest
import torch

from lightning_gpt.ladder import NETWORKS, aliases
from lightning_gpt.ladder.aliases import modernised, modernised_config, modernised_key
from lightning_gpt.model import Record, checkpoint
from lightning_gpt.model.trained import of_checkpoint

BY_NAME = {network.__name__: network for network in NETWORKS}
OLD_SIZES = {  # all that version 0.1 wrote into a checkpoint
    "OneHead": {"n_embd": 16},
    "MultiHead": {"n_embd": 16, "n_head": 2},
    "AttendAndThink": {"n_embd": 16, "n_head": 2},
    "Residual": {"n_embd": 16, "n_head": 2, "n_layer": 2},
    "Normed": {"n_embd": 16, "n_head": 2, "n_layer": 2},
    "ModernGPT": {"n_layer": 2, "n_head": 2, "n_embd": 16, "own_head": True, "convolution": 3, "softcap": None},
    "Ensemble": {"n_layer": 2, "n_head": 2, "n_embd": 16, "own_head": False, "convolution": 0, "n_member": 2},
}


@pytest.mark.parametrize("name", OLD_SIZES)
def test_an_old_network_is_made(name):
    new, sizes = modernised(name, OLD_SIZES[name])
    net = BY_NAME[new](11, 8, **sizes)
    assert net.sizes.items() >= sizes.items() and len(sizes) == len(OLD_SIZES[name])


def test_renamed_sizes_keep_their_values():
    assert modernised("ModernGPT", OLD_SIZES["ModernGPT"])[1] == {
        "n_layer": 2, "n_head": 2, "n_embd": 16, "tie_weights": False, "conv_width": 3, "softcap": None,
    }  # fmt: skip
    assert modernised("Ensemble", {"own_head": False}) == ("Ensemble", {"tie_weights": True})


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_todays_names_stay(network):
    net = network(11, 8)
    assert modernised(network.__name__, net.sizes) == (network.__name__, net.sizes)
    assert all(modernised_key(key) == key for key in net.state_dict())


def test_every_alias_leads_to_a_name_of_today():
    assert set(aliases.NETWORKS.values()) <= BY_NAME.keys()
    sizes = {name for network in NETWORKS for name in network.size_names()}
    assert {*aliases.SIZES.values(), *aliases.OPPOSITES.values()} <= sizes
    layers = {part for network in NETWORKS for key in network(11, 8).state_dict() for part in key.split(".")}
    assert set(aliases.LAYERS.values()) <= layers


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("net.blocks.0.attention.mix.weight", "net.blocks.0.attention.projection.weight"),
        ("net.blocks.0.mlp.layer.bias", "net.blocks.0.mlp.fc.bias"),
        ("net.members.1.blocks.2.mlp.layer.weight", "net.members.1.blocks.2.mlp.fc.weight"),
        ("net.feed_forward.layer.weight", "net.feed_forward.fc.weight"),
    ],
)
def test_a_weights_name_is_translated(old, new):
    assert modernised_key(old) == new


def test_a_configuration_is_translated_and_all_else_is_passed_on():
    old = {"class_path": "lightning_gpt.ladder.ModernGPT", "init_args": {"own_head": True, "n_layer": 3}}
    config = {"name": "x", "model": {"network": old, "compile": True}}
    assert modernised_config(config) == {
        "name": "x",
        "model": {
            "network": {**old, "init_args": {"tie_weights": False, "n_layer": 3}},
            "compile": True,
        },
    }
    assert config["model"]["network"] is old and "own_head" in old["init_args"]
    short = {"model": {"network": "Normed"}}
    assert modernised_config(short) == {"model": {"network": "LayerNormGPT"}}


@pytest.mark.parametrize(
    "config", [{}, {"model": None}, {"model": {"compile": True}}, {"model": {"network": {"class_path": 3}}}]
)
def test_a_configuration_without_a_network_is_passed_on(config):
    assert modernised_config(config) == config


@pytest.mark.parametrize("old", ["Residual", "ModernGPT"])
def test_an_old_checkpoint_is_read(tmp_path, old):
    name, sizes = modernised(old, OLD_SIZES[old])
    net = BY_NAME[name](3, 8, **sizes).eval()
    weights = net.state_dict()
    mix = "mix" if old == "Residual" else "projection"  # rungs 8 and 9 called it so already
    names = {key: key.replace("attention.projection", f"attention.{mix}").replace(".fc.", ".layer.") for key in weights}
    record = {
        "format": 1, "network": old, "sizes": {"vocab_size": 3, "block_size": 8, **OLD_SIZES[old]}, "vocabulary": "abc",
        "corpus": "abc.txt", "corpus_sha256": "0" * 64, "corpus_length": 99,
    }  # fmt: skip
    path = tmp_path / "old.ckpt"
    state = {f"net.{names[key]}": weight for key, weight in weights.items()}
    torch.save({"lightning_gpt": record, "state_dict": state, "global_step": 20}, path)
    saved = checkpoint.read(path)
    found = Record.of(saved, path)
    checkpoint.must_hold(saved, net, path)
    twin = of_checkpoint(saved, path).network
    assert found.network == type(twin).__name__
    assert type(twin) is type(net) and twin.config == net.config
    ids = torch.randint(3, (2, 8))
    assert torch.equal(twin(ids), net(ids))
