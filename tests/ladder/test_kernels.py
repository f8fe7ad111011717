"""What is computed in another way on a CPU has the plain form's values and gradients."""

import pytest
import torch
from torch.nn import functional as F

from lightning_gpt.ladder import kernels
from lightning_gpt.ladder.kernels import attention, rotate, squared_relu, unit_rms

FUNCTIONS = {
    "squared_relu": squared_relu,
    "unit_rms": unit_rms,
    "rotate": rotate,
    "rotate from the middle of a text": lambda x: rotate(x, start=5),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_a_gradient_by_hand_is_the_one_that_autograd_finds(name, scale, monkeypatch):
    function = FUNCTIONS[name]
    x = (scale * torch.randn(2, 3, 6, 8, dtype=torch.float64)).requires_grad_()
    direction = torch.randn_like(x)
    monkeypatch.setattr(kernels, "by_hand", lambda x: False)
    plain = function(x)
    (expected,) = torch.autograd.grad(plain, x, direction)
    monkeypatch.undo()
    y = function(x)
    (gradient,) = torch.autograd.grad(y, x, direction)
    assert type(y.grad_fn) is not type(plain.grad_fn)  # it is another way
    torch.testing.assert_close(y, plain)
    torch.testing.assert_close(gradient, expected)


def test_without_gradients_or_compiled_it_is_the_plain_form():
    x = torch.randn(2, 6, 8)
    assert not kernels.by_hand(x)
    x.requires_grad_()
    assert kernels.by_hand(x)
    with torch.no_grad():
        assert not kernels.by_hand(x)


@pytest.mark.parametrize("T", [1, 7, 64])
def test_attention_by_products_is_the_fused_kernel_s(T):
    # queries and keys of unit root mean square have scores up to sqrt(D), here 4, which bf16 rounds by 1/128 at most
    q, k, v = (unit_rms(torch.randn(2, 3, T, 16)) for _ in range(3))
    exact = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    half = [x.bfloat16().requires_grad_() for x in (q, k, v)]
    y = attention(*half, None, 0.0, is_causal=True)
    fused = F.scaled_dot_product_attention(*half, is_causal=True)
    assert y.shape == exact.shape and y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact, atol=0.04, rtol=0)
    direction = torch.randn_like(y)
    for ours, theirs in zip(
        torch.autograd.grad(y, half, direction), torch.autograd.grad(fused, half, direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=0.1, rtol=0.05)


def test_attention_by_products_does_not_see_the_future():
    q, k, v = (torch.randn(1, 2, 8, 16, dtype=torch.bfloat16) for _ in range(3))
    before = attention(q, k, v, None, 0.0, is_causal=True)
    k[:, :, 5:], v[:, :, 5:] = 9.0, 9.0
    assert torch.equal(attention(q, k, v, None, 0.0, is_causal=True)[:, :, :5], before[:, :, :5])
