"""Carries a trained network's weights over to one of the same kind for another vocabulary or block size."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Network
from lightning_gpt.model.trained import TrainedGPT
from lightning_gpt.tokens import Tokenizer
from lightning_gpt.tokens.tokenizer import token_ids


def must_be_alike(gpt: TrainedGPT, network: Network) -> None:
    """Checks that weights of a trained network mean the same in another: of its class, and of all sizes that matter.

    Vocabulary and block size may differ, and so may shares, such as dropout's: they are of the training.

    Raises:
        UserError: they don't, or positions are lacking; with what differs.
    """
    source = gpt.network
    if type(source) is not type(network):
        name = type(source).__name__
        raise UserError(f"--init_from has a {name}, not a {type(network).__name__}: leave it out, or {name}")
    free = {"vocab_size", "block_size", *network.config.shares()}
    differ = [
        f"{name} is {size}, the checkpoint has {source.sizes[name]}"
        for name, size in network.sizes.items()
        if name not in free and size != source.sizes[name]
    ]
    if differ:
        raise UserError(f"--init_from has another network ({'; '.join(differ)}): leave these out")
    longest = source.block_size
    if network.block_size > longest and _following(source, "block_size"):
        raise UserError(
            f"--init_from has a network with a vector for each of {longest} positions: data.block_size can be at most "
            f"{longest}, not {network.block_size}"
        )


@torch.no_grad()
def transfer(gpt: TrainedGPT, network: Network, tokenizer: Tokenizer) -> None:
    """Copies the weights of a trained network into another, which `must_be_alike`.

    Tokens find their rows by their bytes, positions by their number. New tokens keep the weights that they have.

    Args:
        gpt: the trained network and its tokenizer.
        network: on the CPU.
        tokenizer: of that network.
    """
    source, mine = token_ids(gpt.tokenizer), token_ids(tokenizer)
    known = [token for token in source if token in mine]
    theirs = torch.tensor([source[token] for token in known])
    ours = torch.tensor([mine[token] for token in known])
    by_token, by_position = (_following(gpt.network, size) for size in ("vocab_size", "block_size"))
    weights: dict[str, Tensor] = dict(gpt.network.named_parameters())
    for name, parameter in network.named_parameters():
        weight = weights[name].detach()
        for dim in by_position.get(name, ()):
            weight = weight.narrow(dim, 0, parameter.shape[dim])
        dims = by_token.get(name, [])
        parameter[_rows(ours, dims, parameter.ndim)] = weight[_rows(theirs, dims, weight.ndim)].to(parameter)


def _rows(ids: Tensor, dims: list[int], ndim: int) -> tuple[Tensor | slice, ...]:
    """Makes an index of the entries of tokens `ids` (n,) in a tensor some of whose dimensions are tokens."""
    last = max(dims, default=0)
    return tuple(ids.view(-1, *[1] * (last - dim)) if dim in dims else slice(None) for dim in range(ndim))


def _following(network: Network, size: str) -> dict[str, list[int]]:
    """Returns the dimensions of each parameter that follow a size, by the parameter's name; found by trying it."""
    make: Callable[..., Any] = type(network)
    with torch.device("meta"):
        probe = make(**{**network.sizes, size: getattr(network, size) + 1})
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    return {
        name: dims
        for name, parameter in probe.named_parameters()
        if (dims := [dim for dim, n in enumerate(parameter.shape) if n != shapes[name][dim]])
    }
