import copy

import pytest
import torch

from lightning_gpt.ladder import GPT, Bigram
from lightning_gpt.training import AdamW, Muon
from lightning_gpt.training.optimizer import MuonAdamW, orthogonalised


def test_only_matrices_decay_and_nothing_is_left_out():
    net = GPT(11, 8, n_embd=16, bias=True)
    optimizer = AdamW(lr=0.1, weight_decay=0.3).build(net)
    decayed, rest = optimizer.param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.3, 0.0)
    assert all(p.ndim == 2 for p in decayed["params"]) and all(p.ndim == 1 for p in rest["params"])
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in net.parameters()}


def test_a_network_of_matrices_alone():
    assert len(AdamW().build(Bigram(3, 3)).param_groups) == 1


def steps(net, optimizers, count=3):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        for p in net.parameters():
            p.grad = torch.randn(p.shape, generator=generator)
        for optimizer in optimizers:
            optimizer.step()
    return net.state_dict()


@pytest.mark.parametrize("bf16", [False, True])
def test_muon_moves_as_torchs_own_two_optimizers_do(bf16):
    torch.manual_seed(0)
    mine, theirs = GPT(11, 8, n_embd=32, bias=True), GPT(11, 8, n_embd=32, bias=True)
    theirs.load_state_dict(mine.state_dict())
    one = Muon(lr=0.02, weight_decay=0.1, adamw_lr=0.01, adamw_weight_decay=0.3).build(mine, bf16=bf16)
    inside = [p for name, p in theirs.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    rest = [p for p in theirs.parameters() if not any(p is q for q in inside)]
    two = [
        torch.optim.Muon(inside, lr=0.02, weight_decay=0.1, momentum=0.95),
        torch.optim.AdamW([p for p in rest if p.ndim == 2], lr=0.01, betas=(0.9, 0.95), weight_decay=0.3),
        torch.optim.AdamW([p for p in rest if p.ndim == 1], lr=0.01, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    left, right = steps(mine, [one]), steps(theirs, two)
    for name in left:
        # the iteration of theirs runs in bf16 (8 bits), matrix by matrix: 0.02 * 2^-8 * a few steps
        torch.testing.assert_close(left[name], right[name], atol=1e-3 if "blocks" in name else 1e-6, rtol=0)


@pytest.mark.parametrize("second_momentum", [0.0, 0.95])
def test_its_state_is_saved_and_loaded(second_momentum):
    torch.manual_seed(0)
    net, twin = GPT(11, 8, n_embd=32), GPT(11, 8, n_embd=32)
    optimizer, other = (Muon(second_momentum=second_momentum).build(x) for x in (net, twin))
    steps(net, [optimizer])
    twin.load_state_dict(net.state_dict())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # else both would share their state
    left, right = steps(net, [optimizer]), steps(twin, [other])
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 64, 16), (2, 16, 64)])
def test_orthogonalised_matrices_have_singular_values_of_about_one(shape, dtype):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape, dtype=dtype)).float())
    assert values.min() > 0.4 and values.max() < 1.3


@pytest.mark.parametrize("shape", [(2, 64, 16), (2, 16, 64), (2, 16, 20)])
def test_the_iteration_by_gram_matrices_is_the_iteration(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape) @ torch.logspace(0, -4, shape[-1]).diag()
    matrices[0, :, 1:] = 0.0  # of rank 1
    plain = orthogonalised(matrices.double())  # which goes the direct way
    # a Gram matrix rounds off singular values of 1e-4 of the largest; in bf16 the iteration is off by 5e-3
    torch.testing.assert_close(orthogonalised(matrices), plain.float(), atol=1e-3, rtol=0)
    torch.testing.assert_close(orthogonalised(torch.zeros(shape)), torch.zeros(shape))


def one_matrix(shape=(3, 4), **options):
    """A matrix as one of a block's, with its optimizer, without momentum."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape))
    group = {"params": [weight], "muon": True, "lr": 0.1, "weight_decay": 0.0}
    return weight, MuonAdamW([group | options.pop("group", {})], momentum=0.0, **options)


def test_a_second_momentum_makes_rows_alike_and_keeps_the_length():
    """By hand, two steps of it, in double precision."""
    weight, optimizer = one_matrix(second_momentum=0.5)
    mean = torch.zeros(3, 1, dtype=torch.double)
    for step in range(2):
        before = weight.detach().clone()
        weight.grad = torch.randn(3, 4) * torch.tensor([[1.0], [5.0], [0.1]])
        optimizer.step()
        direction = orthogonalised(weight.grad[None])[0].double()
        mean = 0.5 * mean + 0.5 * (direction**2).mean(dim=1, keepdim=True)
        even = direction / (mean / (1 - 0.5 ** (step + 1))).sqrt()
        even *= direction.norm() / even.norm()
        torch.testing.assert_close((before - weight.detach()).double(), 0.1 * even, atol=1e-6, rtol=0)
    assert optimizer.state[weight]["second"].shape == (3, 1)


def test_a_matrix_without_a_gradient_stays_what_it_is():
    weight, optimizer = one_matrix(second_momentum=0.9, cautious=True)
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert torch.equal(before, weight.detach())


def test_cautious_decay_is_of_weights_that_the_step_makes_smaller():
    weight, plain = one_matrix(cautious=False)
    before = weight.detach().clone()
    weight.grad = torch.randn(3, 4)
    plain.step()
    step = weight.detach() - before
    other, cautious = one_matrix(cautious=True, group={"weight_decay": 2.0})
    other.grad = weight.grad
    cautious.step()
    smaller = step * before < 0
    assert 0 < smaller.sum() < smaller.numel()
    torch.testing.assert_close(other.detach(), before + step - 0.1 * 2.0 * before * smaller)
