"""Parameters are counted from the sizes alone: exactly, and without making what no machine could hold."""

import pytest
import torch

from lightning_gpt.ladder import GPT, NETWORKS, Ensemble
from lightning_gpt.ladder.count import count_parameters

SIZES = {"n_layer": 3, "n_head": 4, "n_embd": 24, "n_member": 2, "bias": True, "conv_width": 5, "dropout": 0.1}
HUGE = {"vocab_size": 65, "block_size": 8, "n_head": 2, "n_embd": 10**12, "n_layer": 10**12}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotary": False, "tie_weights": True, "conv_width": 0, "block_size": 1},
        {"window": 3, "pointer": 5},
        {"pointer": 9, "n_embd": 4, "n_head": 2},
        {"pointer": 64, "window": 1, "n_head": 1},
        {"pointer": 1},
    ],
    ids=str,
)
def test_as_many_as_the_network_has(network, options):
    names = network.size_names()
    sizes = {
        "vocab_size": 11,
        "block_size": 7,
        **{name: x for name, x in {**SIZES, **options}.items() if name in names},
    }
    assert count_parameters(network, sizes) == sum(p.numel() for p in network(**sizes).parameters())


def test_of_networks_that_nobody_could_make():
    matrices = 12 * HUGE["n_embd"] ** 2 * HUGE["n_layer"]
    assert matrices < count_parameters(GPT, HUGE) < 1.01 * matrices
    assert count_parameters(Ensemble, {**HUGE, "n_member": 10**12}) > 10**12 * matrices


def test_every_layer_has_as_many():
    counts = [count_parameters(GPT, {**HUGE, "n_layer": 10**20 + more}) for more in range(3)]
    assert counts[2] - counts[1] == counts[1] - counts[0] > 0


def test_no_random_number_is_used_up():
    before = torch.get_rng_state()
    count_parameters(GPT, {"vocab_size": 3, "block_size": 4})
    assert torch.equal(torch.get_rng_state(), before)


def test_sizes_that_do_not_go_together():
    with pytest.raises(ValueError, match="not divisible"):
        count_parameters(GPT, {"vocab_size": 3, "block_size": 4, "n_embd": 10**12 + 1, "n_head": 2})
