"""Kernels: what a CPU computes faster in another way, with the same values and gradients. No rung.

On a CPU an elementwise operation costs its passes over memory, not its arithmetic. Autograd, which knows each operation
by itself, makes several passes where the whole function's gradient needs one or two; here it is written by hand.
Compiled, or on a GPU, the plain form is taken: a compiler fuses it by itself.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

LONGEST = 512  # keys up to which a matrix of scores is faster than the fused kernel, in bf16


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, is_causal: bool, window: int | None = None
) -> Tensor:
    """q, k, v (B, H, T, D) to softmax(q k^T / sqrt(D)) v, (B, H, T, D); see `F.scaled_dot_product_attention`.

    In bf16 on a CPU the fused kernel computes in fp32, which on a processor with bf16 arithmetic takes twice as long as
    the plain products.

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: what each query may look at, (T, T); None: see `is_causal`.
        dropout: share of the weights.
        is_causal: each position looks at none after its own.
        window: how many it looks at, itself included, if it is causal; None: all.
    """
    T, size = q.shape[-2], k.shape[-2]
    if is_causal and window is not None and window < T:
        return _in_chunks(q, k, v, dropout, window)
    plain = (is_causal or mask is not None) and not dropout and q.dtype == torch.bfloat16 and q.device.type == "cpu"
    if not plain or size > LONGEST:
        return F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=is_causal)
    if mask is None:
        mask = torch.ones(T, size, dtype=torch.bool).tril()
    hidden = torch.zeros(T, size, dtype=q.dtype).masked_fill(~mask, float("-inf"))
    q, k, values = (x.flatten(0, 1) for x in (q * q.shape[-1] ** -0.5, k, v))  # (B H, T, D) each
    weights = torch.baddbmm(hidden, q, k.mT).softmax(dim=-1)  # (B H, T, T)
    return (weights @ values).view(v.shape[:2] + q.shape[-2:])


def _in_chunks(q: Tensor, k: Tensor, v: Tensor, dropout: float, window: int) -> Tensor:
    """See `attention`: each chunk of `window` positions looks at itself and at the one before it, not at all T."""
    T, n = q.shape[-2], -(-q.shape[-2] // window)
    q, k, v = (F.pad(x, (0, 0, 0, n * window - T)).view(*x.shape[:2], n, window, -1) for x in (q, k, v))
    first = attention(q[:, :, 0], k[:, :, 0], v[:, :, 0], None, dropout, is_causal=True)  # (B, H, window, D)
    k, v = (torch.cat([x[:, :, :-1], x[:, :, 1:]], dim=-2).flatten(1, 2) for x in (k, v))  # (B, H (n-1), 2 window, D)
    seen = torch.ones(window, 2 * window, dtype=torch.bool, device=q.device).triu(1).tril(window)
    others = attention(q[:, :, 1:].flatten(1, 2), k, v, seen, dropout, is_causal=False)  # (B, H (n-1), window, D)
    y = torch.cat([first.unsqueeze(2), others.view(*q.shape[:2], n - 1, window, -1)], dim=2)
    return y.flatten(2, 3)[:, :, :T]


def by_hand(x: Tensor) -> bool:
    """Returns whether a gradient written by hand is worth it: on a CPU, in training, not compiled."""
    return x.requires_grad and torch.is_grad_enabled() and x.device.type == "cpu" and not torch.compiler.is_compiling()


def squared_relu(x: Tensor) -> Tensor:
    """x (...) to max(x, 0)^2, elementwise: "Primer", So et al. 2021."""
    return _SquaredReLU.apply(x) if by_hand(x) else x.relu().square()  # type: ignore[no-untyped-call]


class _SquaredReLU(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.clamp(min=0)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.mul(gradient, positive).mul_(2)


def unit_rms(x: Tensor) -> Tensor:
    """x (..., D) to x / sqrt(mean(x^2)), over the last dimension: "RMSNorm", Zhang, Sennrich 2019, without weights."""
    return _UnitRMS.apply(x) if by_hand(x) else F.rms_norm(x, x.shape[-1:])  # type: ignore[no-untyped-call]


class _UnitRMS(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float32)
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).square()
        scale = (squares / x.shape[-1] + torch.finfo(exact).eps).rsqrt().to(x.dtype)  # (..., 1)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        y, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(gradient, y).unsqueeze(-1) / y.shape[-1]  # what would only change the length
        return torch.addcmul(gradient, y, along, value=-1).mul_(scale)


def rotate(x: Tensor, start: int = 0, base: float = 10_000.0) -> Tensor:
    """Turns channel pairs (i, i + D/2) of position t of x (..., T, D) by the angle t * base^(-2i/D).

    The product of a turned query and a turned key depends on their distance alone: "RoFormer", Su et al. 2021.
    The first of the T positions is `start`.
    """
    T, D = x.shape[-2:]
    cos, sin = (y.to(x.dtype) for y in rotation(T, D, start, base, x.device))
    if by_hand(x):
        return _Rotation.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return x * torch.cat([cos, cos], dim=-1) + x.roll(D // 2, dims=-1) * torch.cat([-sin, sin], dim=-1)


def rotation(
    T: int, D: int, start: int = 0, base: float = 10_000.0, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, D/2) of the angles by which `rotate` turns T positions from `start` on, in fp32."""
    frequencies = base ** (-torch.arange(0, D, 2, device=device, dtype=torch.float32) / D)  # (D/2,)
    positions = torch.arange(start, start + T, device=device, dtype=torch.float32)
    angles = positions[:, None] * frequencies  # (T, D/2)
    return angles.cos(), angles.sin()


class _Rotation(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return turned(gradient, cos, -sin), None, None  # turned back


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (..., T, D) with its pairs turned by the angles of cos and sin (T, D/2), in two passes."""
    a, b = x.chunk(2, dim=-1)
    y = torch.empty_like(x)
    c, d = y.chunk(2, dim=-1)
    torch.mul(a, cos, out=c).addcmul_(b, sin, value=-1)
    torch.mul(b, cos, out=d).addcmul_(a, sin)
    return y
