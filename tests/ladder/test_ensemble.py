import math

import torch
from torch.nn import functional as F

from lightning_gpt.ladder import Ensemble, ModernGPT
from lightning_gpt.ladder.cache import Cache
from lightning_gpt.training.optimizer import Muon

V, T = 11, 8
IDS = torch.randint(V, (6, T), generator=torch.Generator().manual_seed(1))


def make(n_member=3):
    torch.manual_seed(0)
    net = Ensemble(V, T, n_member=n_member, n_layer=2, n_head=2, n_embd=16)
    for p in net.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return net


def test_probabilities_are_averaged():
    net = make().eval()
    mean = torch.stack([member(IDS).softmax(-1) for member in net.members]).mean(0)
    torch.testing.assert_close(net(IDS).softmax(-1), mean)
    torch.testing.assert_close(net(IDS).exp().sum(-1), torch.ones(6, T))  # they are log-probabilities already


def test_its_loss_is_at_most_its_members_mean():
    """Jensen's inequality: -log of a mean is no more than the mean of -log."""
    net = make().eval()
    losses = [F.cross_entropy(one(IDS).mT, IDS.roll(1)) for one in (net, *net.members)]
    assert losses[0] < sum(losses[1:]) / 3


def test_each_block_of_a_batch_trains_one_member():
    net = make().train()
    logits = net(IDS)
    for i, member in enumerate(net.members):
        torch.testing.assert_close(logits[2 * i : 2 * i + 2], member(IDS[2 * i : 2 * i + 2]))
    logits[2:4].sum().backward()
    moved = [any(p.grad is not None and p.grad.any() for p in member.parameters()) for member in net.members]
    assert moved == [False, True, False]


def test_members_begin_unlike_each_other():
    one, two, _ = make().members
    assert not torch.equal(one.token_embedding.weight, two.token_embedding.weight)


def test_one_member_is_a_modern_gpt():
    net = make(1).eval()
    torch.testing.assert_close(net(IDS), net.members[0](IDS).log_softmax(-1))
    assert {**net.members[0].sizes, "n_member": 1} == net.sizes
    assert math.isclose(sum(p.numel() for p in net.parameters()), sum(p.numel() for p in net.members[0].parameters()))


def test_muon_moves_the_matrices_of_all_members():
    inside = Muon().build(make()).param_groups[0]
    assert inside["muon"] and len(inside["params"]) == 3 * 2 * 4
    assert len(Muon().build(ModernGPT(V, T, n_layer=2, n_embd=16)).param_groups[0]["params"]) == 2 * 4


def test_members_share_one_compilation():
    net, graphs = make().train(), []
    expected = net(IDS)

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    net.compile(backend=count)
    torch.testing.assert_close(net(IDS), expected)
    assert len(graphs) == 1
    net.eval().forward(IDS[:, :3], Cache(T))  # what decoding does with lengths of all kinds
    assert len(graphs) == 1
