import torch

from lightning_gpt.ladder import GPT
from lightning_gpt.training import AdamW


def test_only_matrices_decay_and_nothing_is_left_out():
    net = GPT(11, 8, n_embd=16, bias=True)
    optimizer = AdamW(lr=0.1, weight_decay=0.3).build(net)
    decayed, rest = optimizer.param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim == 2 for p in decayed["params"]) and all(p.ndim == 1 for p in rest["params"])
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in net.parameters()}


def test_a_network_of_matrices_alone():
    assert len(AdamW().build(torch.nn.Embedding(3, 3)).param_groups) == 1
