"""What no memory could hold is refused before it is made; what it could is not."""

import pytest
import torch
from conftest import TINY

from lightning_gpt import machine
from lightning_gpt.ladder import NETWORKS, Ensemble, ModernGPT
from lightning_gpt.launch.memory import activations, weights_and_state
from lightning_gpt.training import AdamW, Muon

FIT = ["fit", "--data.corpus=text.txt", *TINY, "--trainer.max_steps=1"]


POINTED = {"window": 64, "pointer": 32}


@pytest.mark.parametrize(
    ("network", "V", "T", "sizes"),
    [
        *((network, 65, 32, {}) for network in NETWORKS),
        (ModernGPT, 65, 32, POINTED),
        (ModernGPT, 65, 1024, {**POINTED, "n_layer": 1, "n_embd": 16}),
        (ModernGPT, 2000, 256, {**POINTED, "n_layer": 1, "n_embd": 16}),
        (Ensemble, 65, 256, {**POINTED, "n_layer": 1}),
    ],
    ids=lambda x: (
        x.__name__ if isinstance(x, type) else "pointed" if x == POINTED else "" if isinstance(x, dict) else x
    ),
)
def test_a_step_takes_at_least_what_is_estimated(network, V, T, sizes):
    """A bound that is too high would refuse what could be trained; one that is far too low would be of no use."""
    net = network(V, T, **sizes)
    seen = {}  # storages that the backward pass will need; weights are no activations

    def save(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.randint(V, (12, T))
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        loss = torch.nn.functional.cross_entropy(net(ids).flatten(0, 1), ids.flatten())
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    saved = sum(size for place, size in seen.items() if place not in weights)
    estimated = activations(vars(net.config), 12)
    assert estimated <= saved + 2 * ids.nbytes
    assert saved < 12 * estimated, loss


@pytest.mark.parametrize("recipe", [AdamW, Muon])
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_weights_gradients_and_moments(network, recipe):
    net = network(65, 32)
    optimizer = recipe().build(net, fused=False)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    state = sum(x.nbytes for values in optimizer.state.values() for x in values.values() if x.ndim)
    numbers = state + 2 * sum(p.nbytes for p in net.parameters())
    objects = 20_000 * net.n_member * getattr(net.config, "n_layer", 1)
    assert numbers / 2 < weights_and_state(network, net.sizes, recipe.__name__) <= numbers + objects


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model.network.n_embd=1000000000000"], "state would take 384 YB, and this machine has"),
        (["--model.network.n_layer=1000000000000"], "lower n_layer 1000000000000"),
        (["--model.network=Ensemble", f"--model.network.n_member={10**20}"], "lower n_member 1"),
        ([f"--model.network.n_embd={10**8}", f"--model.network.n_head={10**8}"], "would take 3.8 EB"),
        (["--model.network=ModernGPT", f"--model.network.pointer={10**20}"], "lower pointer 1"),
        ([f"--data.batch_size={10**20}"], "lower data.batch_size 1"),
        ([f"--data.block_size={10**20}"], "too short"),
        (["--trainer.strategy=model_parallel", f"--model.network.n_embd={10**20}"], "over 1,000 YB"),
    ],
    ids=lambda v: v[-1] if isinstance(v, list) else "",
)
def test_what_no_machine_could_hold(shell, options, says):
    assert says in shell(*FIT, *options, status=2).stderr
    assert not (shell.folder / "runs").exists()


def test_a_smaller_machine_refuses_what_a_larger_one_trains(shell, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda *_: 100_000)
    assert "would take 127 kB, and this machine has 100 kB" in shell(*FIT, status=2).stderr


def test_bytes_in_words():
    assert [machine.in_bytes(x) for x in (0, 1500, 25_300_000_000, 10**60)] == [
        "0.0 kB",
        "1.5 kB",
        "25 GB",
        "over 1,000 YB",
    ]
