"""What every network promises, found by the table, so that a new one is tested without a new test."""

import copy
from dataclasses import FrozenInstanceError, fields
from typing import get_type_hints

import pytest
import torch
from jsonargparse import ArgumentParser
from torch.nn import functional as F

from lightning_gpt.ladder import NETWORKS, Bigram, Cache, CachedNetwork, Ensemble, ModernGPT, SingleHeadGPT

V, T = 11, 8
SMALL = {n: {} if n is Bigram else {"n_embd": 32} for n in NETWORKS}
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)
MODES = {  # of reading, in which a network is another function of its past
    **{n.__name__: (n, {}) for n in NETWORKS},
    "ModernGPT with a window": (ModernGPT, {"window": 3}),
    "ModernGPT with a window beyond all": (ModernGPT, {"window": 10**20}),
    "ModernGPT with a pointer": (ModernGPT, {"pointer": 4}),
    "ModernGPT with both": (ModernGPT, {"pointer": 4, "window": 2}),
    "Ensemble with both": (Ensemble, {"pointer": 4, "window": 2}),
}
every_mode = pytest.mark.parametrize(("network", "sizes"), MODES.values(), ids=MODES)


def make(network, **sizes):
    torch.manual_seed(0)
    net = network(V, T, **{**SMALL[network], **sizes}).eval()
    for p in net.parameters():  # no zero-initialised matrix may hide a leak
        p.data += 0.1 * torch.randn_like(p)
    return net


@every_mode
def test_shape(network, sizes):
    for t in (1, T):
        assert make(network, **sizes)(torch.randint(V, (3, t))).shape == (3, t, V)


@every_mode
def test_the_future_does_not_move_the_past(network, sizes):
    net, ids = make(network, **sizes), torch.randint(V, (2, T))
    for t in range(1, T):
        other = ids.clone()
        other[:, t:] = (other[:, t:] + 1) % V
        torch.testing.assert_close(net(other)[:, :t], net(ids)[:, :t])
        assert not torch.equal(net(other)[:, t], net(ids)[:, t])


@every_mode
def test_rows_of_a_batch_do_not_see_each_other(network, sizes):
    net, ids = make(network, **sizes), torch.randint(V, (4, T))
    torch.testing.assert_close(net(ids)[2:3], net(ids[2:3]))


@every_mode
def test_gradients_reach_every_parameter(network, sizes):
    net = make(network, **sizes)
    ids = torch.arange(V).repeat(8)[: 10 * T].view(10, T)  # every character is there
    F.cross_entropy(net(ids).flatten(0, 1), torch.randint(V, (10 * T,))).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


OTHERS = {  # than the default, for every size that has one
    "n_layer": 2, "n_head": 2, "n_embd": 24, "n_member": 2, "dropout": 0.3, "bias": True, "rotary": False,
    "qk_norm": False, "variational_dropout": False, "squared_relu": False, "zero_init": False, "embedding_norm": False,
    "tie_weights": True, "conv_width": 3, "softcap": 0.5, "tanh_gelu": True,
    "window": 3, "pointer": 4,
}  # fmt: skip
defaults = {n: {f.name: f.default for f in fields(get_type_hints(n)["config"])[2:]} for n in NETWORKS}
each_size = pytest.mark.parametrize(
    ("network", "size"), [(n, s) for n in NETWORKS for s in defaults[n]], ids=lambda x: x if x in OTHERS else x.__name__
)


def logits(net, training):
    torch.manual_seed(4)
    return net.train(training)(torch.arange(4 * T).view(4, T) % V)


@every_network
def test_its_sizes_are_its_configs_and_what_its_constructor_takes(network):
    net = network(V, T)
    assert list(net.sizes) == network.size_names() == [f.name for f in fields(net.config)]
    assert ArgumentParser().add_class_arguments(network) == network.size_names()  # as the command line finds them
    with pytest.raises(TypeError):
        network(V, T, no_such_size=1)


@every_network
def test_main_sizes_are_its_numbers_and_its_dropout(network):
    main = [name for name in network.size_names() if name.startswith(("vocab", "block", "n_", "dropout"))]
    assert list(network(V, T).config.main()) == main


@every_network
def test_its_config_can_not_be_changed(network):
    with pytest.raises(FrozenInstanceError):
        network(V, T).config.block_size = 2


@each_size
def test_a_size_is_what_it_was_set_to(network, size):
    net = network(V, T, **{size: OTHERS[size]})
    assert OTHERS[size] != defaults[network][size]
    assert net.sizes == {"vocab_size": V, "block_size": T, **defaults[network], size: OTHERS[size]}


@each_size
def test_a_size_is_not_ignored(network, size):
    others = {name: OTHERS[name] for name in defaults[network]}
    nets = []
    for sizes in (others, {**others, size: defaults[network][size]}):
        torch.manual_seed(3)
        nets.append(network(V, T, **sizes))
    one, two = nets
    shapes = [{name: p.shape for name, p in net.named_parameters()} for net in nets]
    assert shapes[0] != shapes[1] or not torch.equal(logits(one, training=True), logits(two, training=True))


@every_network
def test_its_sizes_make_it_again(network):
    """All of them away from their defaults: none can be forgotten on the way into a checkpoint and back."""
    net = make(network, **{name: OTHERS[name] for name in defaults[network]})
    twin = network(**net.sizes)
    assert twin.config == net.config
    twin.load_state_dict(net.state_dict())
    for training in (False, True):
        assert torch.equal(logits(twin, training), logits(net, training))


@every_network
def test_one_batch_is_memorised(network):
    torch.manual_seed(1)
    net = network(V, T, **SMALL[network])
    ids = torch.randint(V, (4, T + 1))
    ids[:, 0] = torch.arange(4)  # two rows that begin alike could not be told apart
    if network is Bigram:  # it can learn only what follows a character always
        ids = torch.arange(T + 1).repeat(4, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-2 if network is Bigram else 3e-3)
    # one head has one average to spell nine characters with; more of them have no trouble
    goal, loss = 0.3 if network is SingleHeadGPT else 0.1, torch.tensor(9.9)
    for _ in range(600):
        loss = F.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        if loss < goal:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < goal


@every_network
def test_same_seed_same_weights(network):
    torch.manual_seed(3)
    one = network(V, T).state_dict()
    torch.manual_seed(3)
    two = network(V, T).state_dict()
    assert all(torch.equal(one[k], two[k]) for k in one)


@every_network
def test_it_can_be_copied(network):
    net, ids = make(network), torch.randint(V, (1, T))
    torch.testing.assert_close(copy.deepcopy(net)(ids), net(ids))


CACHED = {name: mode for name, mode in MODES.items() if issubclass(mode[0], CachedNetwork)}


@pytest.mark.parametrize(("network", "sizes"), CACHED.values(), ids=CACHED)
@pytest.mark.parametrize("parts", [[T], [1] * T, [5, 1, 1, 1], [1, 4, 3]], ids=str)
def test_read_with_a_cache_it_says_the_same(network, sizes, parts):
    net, ids = make(network, **sizes), torch.randint(V, (3, T))
    cache = Cache(T)
    parts = ids.split(parts, dim=1)
    torch.testing.assert_close(torch.cat([net(part, cache) for part in parts], dim=1), net(ids))
    assert cache.length == T


@pytest.mark.parametrize(
    ("network", "sizes", "says"),
    [
        ("GPT", {"n_embd": 30, "n_head": 4}, "not divisible"),
        ("MultiHeadGPT", {"n_embd": 30}, "not divisible"),
        ("GPT", {"n_layer": 0}, "n_layer must be"),
        ("GPT", {"n_layer": 2.0}, "n_layer must be"),
        ("GPT", {"n_layer": True}, "n_layer must be"),
        ("GPT", {"dropout": 1.0}, "dropout"),
        ("Ensemble", {"n_member": 0}, "n_member must be"),
        ("Ensemble", {"n_layer": 0}, "n_layer must be"),
        ("ModernGPT", {"n_embd": 12, "n_head": 4}, "even head size"),
        ("ModernGPT", {"softcap": 0.0}, "softcap"),
        ("ModernGPT", {"conv_width": -1}, "conv_width must be"),
        ("ModernGPT", {"conv_width": T + 1}, "conv_width must be"),
        ("ModernGPT", {"window": 0}, "window must be"),
        ("ModernGPT", {"window": 2.0}, "window must be"),
        ("ModernGPT", {"pointer": -1}, "pointer must be"),
        ("ModernGPT", {"pointer": True}, "pointer must be"),
    ],
)
def test_impossible_sizes_are_refused(network, sizes, says):
    with pytest.raises(ValueError, match=says):
        {n.__name__: n for n in NETWORKS}[network](V, T, **sizes)


@every_network
def test_its_embedding_has_a_row_for_each_character(network):
    net, ids = make(network), torch.zeros(1, T, dtype=torch.long)
    before = net(ids)
    net.embedding().weight.data[0] += 1.0
    assert len(net.embedding().weight) == V and not torch.equal(net(ids), before)


@every_network
def test_hidden_matrices_are_those_inside_the_blocks(network):
    net = make(network)
    expected = [p for name, p in net.named_parameters() if "blocks." in name and p.ndim == 2]
    assert [id(p) for p in net.hidden_matrices()] == [id(p) for p in expected]


@every_network
def test_a_size_that_is_no_number_is_refused_by_name(network):
    for field in fields(network.config_class()):
        if {"whole", "share"} & field.metadata.keys():
            sizes = {"vocab_size": 5, "block_size": 8, field.name: None}
            with pytest.raises(ValueError, match=f"{field.name} must be"):
                network.config_class()(**sizes)


@every_mode
def test_ids_may_be_integers_of_half_the_size(network, sizes):
    net, ids = make(network, **sizes), torch.randint(V, (2, T))
    assert torch.equal(net(ids.int()), net(ids))
