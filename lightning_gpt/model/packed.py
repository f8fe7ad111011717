"""Packed weights: a network whose linear layers hold their weights as oneDNN's products read them fastest on a CPU."""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


class PackedLinear(nn.Module):
    """A linear layer whose weight was packed once, not at each product: x (..., I) to (..., O) in x's own type.

    Args:
        linear: the layer, whose weight stays its own, too.
        rows: of x, about: the layout depends on them.
        dtype: in which to multiply.
    """

    def __init__(self, linear: nn.Linear, rows: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.dtype = linear.weight, dtype
        self.bias = None if linear.bias is None else linear.bias.to(dtype)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype).contiguous(), rows)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., I) to (..., O)."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(self.dtype), self.packed, self.bias, "none", [], "")
        return y.to(x.dtype)


def packable(network: nn.Module, dtype: torch.dtype = torch.float32) -> bool:
    """Returns whether there is oneDNN for this network's weights, and for products in this type on this processor."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return hasattr(torch.ops.mkldnn, "_linear_pointwise") and all(
        weight.device.type == "cpu" for weight in network.parameters()
    )


def packed(network: AnyNetwork, rows: int, dtype: torch.dtype = torch.float32) -> AnyNetwork:
    """Returns a twin of a network, in eval mode, for reading `rows` tokens at a time: only its linear layers are new.

    It shares all other weights, and is right as long as the packed ones stay what they are.
    """
    twin = copy.deepcopy(network, {id(weight): weight for weight in network.parameters()})
    for module in list(twin.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, PackedLinear(child, rows, dtype))
    return twin.eval()
