"""What is computed in another way on a CPU has the plain form's values and gradients."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lightning_gpt.ladder import kernels
from lightning_gpt.ladder.kernels import attention, rotate, squared_relu, unit_rms

FUNCTIONS = {
    "squared_relu": squared_relu,
    "unit_rms": unit_rms,
    "rotate": rotate,
    "rotate from the middle of a text": lambda x: rotate(x, start=5),
}

TOLERANCE = {torch.float32: {}, torch.bfloat16: {"atol": 0.1, "rtol": 0.05}}


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("T", "window"), [(12, 4), (13, 4), (7, 4), (9, 1), (5, 4), (4, 4), (3, 9)])
def test_a_window_is_a_mask(T, window, dtype):
    q, k, v = (unit_rms(torch.randn(2, 3, T, 16)).to(dtype).requires_grad_() for _ in range(3))
    mask = torch.ones(T, T, dtype=torch.bool).tril().triu(1 - window)
    expected = F.scaled_dot_product_attention(q, k, v, mask)
    y = attention(q, k, v, None, 0.0, is_causal=True, window=window)
    torch.testing.assert_close(y, expected, **TOLERANCE[dtype])
    direction = torch.randn_like(y)
    for ours, theirs in zip(
        torch.autograd.grad(y, (q, k, v), direction), torch.autograd.grad(expected, (q, k, v), direction), strict=True
    ):
        torch.testing.assert_close(ours, theirs, **TOLERANCE[dtype])


def test_a_long_text_in_windows_is_read_in_chunks():
    """No matrix of all positions with all others is made: 4,096 of them squared would be 64 MB a head."""
    q, k, v = (torch.randn(1, 1, 4096, 16, dtype=torch.bfloat16) for _ in range(3))
    with FlopCounterMode(display=False) as counter:
        attention(q, k, v, None, 0.0, is_causal=True, window=32)
    assert counter.get_total_flops() == 4 * 16 * (32 * 32 + 4064 * 64)
