"""Counts a network's parameters by its sizes, without making it, in milliseconds however large it would be."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from lightning_gpt.ladder.network import Network

# The count is a polynomial in each of these: of degree 2 in the width, whose square the matrices have, of degree 1 in
# all others. So networks of these small sizes tell it for any.
SMALL = {
    "n_layer": (1, 2),
    "n_member": (1, 2),
    "n_embd": (2, 4, 6),
    "conv_width": (1, 2),
    "block_size": (2, 3),
    "pointer": (1, 2),
}


def count_parameters(network: type[Network], sizes: Mapping[str, Any]) -> int:
    """Counts the parameters of a network of the ladder, exactly.

    Raises:
        ValueError, TypeError: sizes that it can't have.
    """
    config = network.config_class()(**sizes)
    large = {name: getattr(config, name, 0) for name in SMALL}
    fixed = {**sizes, **({"n_head": 1} if hasattr(config, "n_head") else {})}  # heads share the channels
    return _interpolated(network, fixed, [(name, size) for name, size in large.items() if size])


def _interpolated(network: type[Network], fixed: Mapping[str, Any], large: Sequence[tuple[str, int]]) -> int:
    """Lagrange's polynomial in the first of the large sizes, through counts that are found in the same way."""
    if not large:
        return _counted(network, fixed)
    (name, size), *others = large
    total = Fraction(0)
    for point in SMALL[name]:
        weight = Fraction(1)
        for other in SMALL[name]:
            weight *= Fraction(size - other, point - other) if other != point else 1
        total += weight * _interpolated(network, {**fixed, name: point}, others)
    assert total.denominator == 1, total
    return int(total)


class _WithoutInit(TorchFunctionMode):
    """Leaves out initialisation, which takes most of the time on the meta device and changes nothing there."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)


def _counted(network: Callable[..., Network], sizes: Mapping[str, Any]) -> int:
    with torch.device("meta"), _WithoutInit():
        return sum(parameter.numel() for parameter in network(**sizes).parameters())
