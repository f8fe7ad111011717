"""What every network promises, found by the table, so that a new one is tested without a new test."""

import copy

import pytest
import torch
from torch.nn import functional as F

from lightning_gpt.ladder import NETWORKS, Bigram, Cache, CachedNetwork, OneHead

V, T = 11, 8
every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.__name__)


def make(network, **sizes):
    torch.manual_seed(0)
    net = network(V, T, **({} if network is Bigram else {"n_embd": 32}), **sizes).eval()
    for p in net.parameters():  # no zero-initialised matrix may hide a leak
        p.data += 0.1 * torch.randn_like(p)
    return net


@every_network
def test_shape(network):
    for t in (1, T):
        assert make(network)(torch.randint(V, (3, t))).shape == (3, t, V)


@every_network
def test_the_future_does_not_move_the_past(network):
    net, ids = make(network), torch.randint(V, (2, T))
    for t in range(1, T):
        other = ids.clone()
        other[:, t:] = (other[:, t:] + 1) % V
        torch.testing.assert_close(net(other)[:, :t], net(ids)[:, :t])
        assert not torch.equal(net(other)[:, t], net(ids)[:, t])


@every_network
def test_rows_of_a_batch_do_not_see_each_other(network):
    net, ids = make(network), torch.randint(V, (4, T))
    torch.testing.assert_close(net(ids)[2:3], net(ids[2:3]))


@every_network
def test_gradients_reach_every_parameter(network):
    net = make(network)
    ids = torch.arange(V).repeat(8)[: 10 * T].view(10, T)  # every character is there
    F.cross_entropy(net(ids).flatten(0, 1), torch.randint(V, (10 * T,))).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name


@every_network
def test_its_sizes_make_it_again(network):
    net = make(network)
    twin = type(net)(**net.sizes)
    twin.load_state_dict(net.state_dict())
    ids = torch.randint(V, (2, T))
    torch.testing.assert_close(twin.eval()(ids), net(ids))


@every_network
def test_one_batch_is_learned_by_heart(network):
    torch.manual_seed(1)
    net = network(V, T)
    ids = torch.randint(V, (4, T + 1))
    ids[:, 0] = torch.arange(4)  # two rows that begin alike could not be told apart
    if network is Bigram:  # it can learn only what follows a character always
        ids = torch.arange(T + 1).repeat(4, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-2 if network is Bigram else 3e-3)
    # one head has one average to spell nine characters with; more of them have no trouble
    low = 0.3 if network is OneHead else 0.1
    for _ in range(600):
        loss = F.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        if loss.item() < low:
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"after 600 steps the loss is still {loss.item():.2f}")


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


@pytest.mark.parametrize("network", [n for n in NETWORKS if issubclass(n, CachedNetwork)], ids=lambda n: n.__name__)
@pytest.mark.parametrize("prompt", [1, 5, T])
def test_read_with_a_cache_it_says_the_same(network, prompt):
    net, ids = make(network), torch.randint(V, (3, T))
    cache = Cache(T)
    parts = ids.split([prompt] + [1] * (T - prompt), dim=1)
    torch.testing.assert_close(torch.cat([net(part, cache) for part in parts], dim=1), net(ids))
    assert cache.length == T


@pytest.mark.parametrize(
    ("network", "sizes", "says"),
    [
        ("GPT", {"n_embd": 30, "n_head": 4}, "not divisible"),
        ("MultiHead", {"n_embd": 30}, "not divisible"),
        ("GPT", {"n_layer": 0}, "n_layer must be"),
        ("GPT", {"dropout": 1.0}, "dropout"),
        ("Ensemble", {"n_member": 0}, "n_member must be"),
        ("Ensemble", {"n_layer": 0}, "n_layer must be"),
        ("ModernGPT", {"n_embd": 12, "n_head": 4}, "even head size"),
        ("ModernGPT", {"softcap": 0.0}, "softcap"),
        ("ModernGPT", {"convolution": -1}, "convolution must be"),
        ("ModernGPT", {"convolution": T + 1}, "convolution must be"),
    ],
)
def test_impossible_sizes_are_refused(network, sizes, says):
    with pytest.raises(ValueError, match=says):
        {n.__name__: n for n in NETWORKS}[network](V, T, **sizes)
