"""What a network looks at, to be looked at in turn. No rung needs this file."""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.ensemble import Ensemble
from lightning_gpt.ladder.network import Network
from lightning_gpt.ladder.rung3_head import Head
from lightning_gpt.ladder.rung4_multi_head import MultiHeadAttention
from lightning_gpt.ladder.rung8_gpt import CausalSelfAttention


def attention_maps(network: Network, ids: Tensor) -> Tensor:
    """ids (T,), T at most block_size, to the attention weights of each head (L, H, T, T), layers from the input on.

    Row t of a map says what position t looks at; it sums to 1. A network without attention has L = 0. Of an
    ensemble, its first member is looked at.
    """
    if isinstance(network, Ensemble):
        network = network.members[0]  # type: ignore[assignment]
    maps: list[Tensor] = []

    def look(attention: nn.Module, x: tuple[Tensor, ...]) -> None:
        weights = attention.weights(x[0])[0]  # type: ignore[operator]
        maps.append(weights if weights.ndim == 3 else weights[None])  # a single head has no dimension for heads

    inside = {head for module in network.modules() if isinstance(module, MultiHeadAttention) for head in module.heads}
    hooks = [
        module.register_forward_pre_hook(look)
        for module in network.modules()
        if isinstance(module, Head | MultiHeadAttention | CausalSelfAttention) and module not in inside
    ]
    try:
        with torch.no_grad():
            network.forward(ids[None])  # not the call, which may be compiled
    finally:
        for hook in hooks:
            hook.remove()
    T = len(ids)
    return torch.stack(maps).float() if maps else torch.zeros(0, 0, T, T)
