"""The pointer against its definition, position by position."""

import math

import pytest
import torch
from torch.nn import functional as F

from lightning_gpt.ladder import ModernGPT
from lightning_gpt.ladder import pointer as code
from lightning_gpt.ladder.pointer import SHARPNESS, Pointer, votes

V, C, SIZE = 7, 12, 5


@pytest.fixture
def pointer():
    torch.manual_seed(0)
    pointer = Pointer(C, SIZE)
    pointer.init_weights()
    for weight in pointer.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    return pointer


def test_each_earlier_position_votes_for_what_followed_it(pointer):
    x, logits, ids = torch.randn(1, 6, C), torch.randn(1, 6, V), torch.randint(V, (1, 6))
    found = pointer(x, logits, ids)[0].exp()
    for t in range(6):
        query = F.normalize(x[0, t] @ pointer.query.weight.T, dim=0)
        sentinel = math.exp(pointer.sentinel(x[0, t]).item())
        votes = sentinel * logits[0, t].softmax(dim=0)
        total = sentinel
        for i in range(t):
            key = F.normalize(x[0, i] @ pointer.key.weight.T, dim=0)
            weight = math.exp(SHARPNESS * (torch.dot(query, key).item() - 1))
            votes[ids[0, i + 1]] += weight
            total += weight
        torch.testing.assert_close(found[t], votes / total, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("few", [V, V - 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("T", "S"), [(5, 9), (1, 9), (1, 0), (3, 0)])
def test_votes_are_sums_of_weights(few, dtype, T, S, monkeypatch):
    monkeypatch.setattr(code, "FEW", few)
    weights, token = torch.rand(2, T, S).to(dtype).requires_grad_(), torch.randint(V, (2, S))
    expected = weights.float() @ F.one_hot(token, V).float()
    found = votes(weights, token, V)
    close = {} if dtype == torch.float32 else {"atol": 0.02, "rtol": 0.02}
    torch.testing.assert_close(found, expected, **close)
    direction = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(y, weights, direction)[0] for y in (found, expected))
    torch.testing.assert_close(ours, theirs, **close)


def test_at_the_first_position_there_is_nothing_to_copy(pointer):
    logits = torch.randn(2, 1, V)
    found = pointer(torch.randn(2, 1, C), logits, torch.randint(V, (2, 1)))
    torch.testing.assert_close(found, logits.log_softmax(dim=-1))


def test_what_neither_thinks_possible_has_a_finite_loss(pointer):
    logits = torch.full((1, 3, V), -1e4)
    logits[..., 0] = 0.0
    found = pointer(torch.randn(1, 3, C), logits, torch.zeros(1, 3, dtype=torch.long))
    assert found.isfinite().all() and (found[..., 1:] < -80).all()


def test_it_adds_no_matrix_to_the_blocks():
    net = ModernGPT(V, 8, n_layer=1, n_head=1, n_embd=C, pointer=SIZE)
    plain = ModernGPT(V, 8, n_layer=1, n_head=1, n_embd=C)
    assert len(net.hidden_matrices()) == len(plain.hidden_matrices())


def test_queries_and_keys_begin_as_the_same():
    weights = ModernGPT(V, 8, n_layer=1, n_head=1, n_embd=C, pointer=SIZE).state_dict()
    assert torch.equal(weights["pointer.query.weight"], weights["pointer.key.weight"])


def test_a_name_that_is_new_to_the_network_is_spelled_as_before():
    """Random weights know no word; what the text itself said before is likelier than a seventh all the same."""
    torch.manual_seed(0)
    net = ModernGPT(V, 64, n_layer=1, n_head=1, n_embd=32, pointer=16, zero_init=False).eval()
    word = torch.tensor([1, 2, 3, 4, 5, 6, 0])
    ids = word.repeat(9)[None]
    with torch.no_grad():
        loss = F.cross_entropy(net(ids)[0, 7:-1], ids[0, 8:])
    assert loss < 0.5 * math.log(V)


def test_it_is_made_in_types_that_have_no_qr():
    """As --trainer.precision bf16-true makes it."""
    weights = {}
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        torch.set_default_dtype(dtype)
        try:
            weights[dtype] = ModernGPT(V, 8, n_embd=32, pointer=4).pointer.query.weight
        finally:
            torch.set_default_dtype(torch.float32)
    assert weights[torch.bfloat16].dtype == torch.bfloat16
    product = weights[torch.float32] @ weights[torch.float32].mT
    torch.testing.assert_close(product, torch.eye(4))
