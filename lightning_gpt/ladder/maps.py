"""Attention maps: what each head of a network looks at in a text. No rung needs this file."""

import torch
from torch import Tensor, nn

from lightning_gpt.ladder.network import Attention, Network


def attention_maps(network: Network, ids: Tensor) -> Tensor:
    """Computes the attention weights of each head (L, H, T, T) for ids (T,), T at most block_size.

    Row t of a map says what position t looks at; it sums to 1. Layers L are those of `Network.attention_layers`, from
    the input on; a network without attention has L = 0.
    """
    maps: list[Tensor] = []

    def look(attention: nn.Module, x: tuple[Tensor, ...]) -> None:
        assert isinstance(attention, Attention)
        weights = attention.attention_weights(x[0])[0]
        maps.append(weights if weights.ndim == 3 else weights[None])  # a single head has no dimension for heads

    hooks = [layer.register_forward_pre_hook(look) for layer in network.attention_layers()]
    try:
        with torch.no_grad():
            network.forward(ids[None])  # not the call, which may be compiled
    finally:
        for hook in hooks:
            hook.remove()
    T = len(ids)
    return torch.stack(maps).float() if maps else torch.zeros(0, 0, T, T)
