import pytest
import torch

from lightning_gpt.ladder import GPT, NETWORKS, Bigram, Ensemble, ModernGPT, MultiHeadGPT, SingleHeadGPT
from lightning_gpt.ladder.maps import attention_maps

IDS = torch.randint(11, (7,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_rows_are_shares_of_the_past(network):
    net = network(11, 8).eval()
    before = net(IDS[None])
    maps = attention_maps(net, IDS)
    assert maps.shape[2:] == (7, 7)
    if len(maps):
        torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
        assert torch.equal(maps, maps.tril())
    assert torch.equal(net(IDS[None]), before)  # nothing was left behind
    assert not any(module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("net", "layers", "heads"),
    [
        (Bigram(11, 8), 0, 0),
        (SingleHeadGPT(11, 8), 1, 1),
        (MultiHeadGPT(11, 8), 1, 4),
        (GPT(11, 8, n_layer=3, n_head=2, n_embd=16), 3, 2),
    ],
)
def test_how_many(net, layers, heads):
    assert attention_maps(net, IDS).shape[:2] == (layers, heads)


@pytest.mark.parametrize("window", [None, 3])
def test_the_maps_are_those_of_the_forward_pass(window):
    net = ModernGPT(11, 8, n_layer=1, n_head=2, n_embd=8, zero_init=False, window=window).eval()
    attention = net.blocks[0].attention
    seen = []
    attention.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    maps = attention_maps(net, IDS)[0]
    x, out = seen[0]
    values = attention.heads(x)[2][0]
    torch.testing.assert_close(attention.projection((maps @ values).transpose(0, 1).flatten(1)), out[0])


def test_of_an_ensemble_one_member_is_looked_at():
    net = Ensemble(11, 8, n_member=2, n_layer=3, n_head=2, n_embd=8).eval()
    assert torch.equal(attention_maps(net, IDS), attention_maps(net.members[0], IDS))
