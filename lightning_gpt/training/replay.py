"""CUDA graphs: a network's kernels of forward and backward pass, recorded once and replayed at every step.

A GPU computes a small network's kernels faster than Python launches them, some thousand a step; a graph of them is
launched at once, and the kernels are the same. Nothing is compiled, so recording takes less than a second.

What is recorded is what one pass computed, with the weights where they lay: so the networks of the ladder only, whose
passes are all alike, and one recording for each fit.
"""

from collections.abc import Callable

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from lightning_gpt.ladder import NETWORKS, Network


class Replay:
    """Calls a network that is trained on CUDA: ids (B, T) to logits (B, T, V).

    Replayed are passes like the first one: batches of its shape, with gradients for the same weights. All others run as
    they would without this. Logits and gradients are good until the next call.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self._recorded: Callable[[Tensor], Tensor] | None = None
        self._like: object = None

    def __call__(self, ids: Tensor) -> Tensor:
        """Runs the network."""
        if not self.net.training or not torch.is_grad_enabled() or torch.is_anomaly_enabled():
            return self.net(ids)
        like = ids.shape, [weight.requires_grad for weight in self.net.parameters()]
        if self._recorded is None:
            self._recorded, self._like = recorded(self.net, ids), like
        return self._recorded(ids) if like == self._like else self.net(ids)


class Pass(nn.Module):
    """A network's pass in the precision of the moment at which this is made: ids (B, T) to logits (B, T, V)."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net
        # weights that are cast for one pass and kept for another would be those of this moment for ever
        precision = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
        self.autocast = torch.autocast("cuda", *precision, cache_enabled=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Runs the network."""
        with self.autocast:
            return self.net(ids)


def recorded(net: Network, ids: Tensor) -> Callable[[Tensor], Tensor]:
    """Records a network's passes over batches shaped as ids (B, T), in the precision of the moment.

    The random state stays what it was: what dropout draws is decided by the seed that is set before each step.
    """
    if hasattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch"):
        # gradients are added up on the stream that recorded them, which is waited for, as the warning asks for
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    state, run = torch.cuda.get_rng_state(ids.device), Pass(net)
    with torch.autocast("cuda", enabled=False):  # the backward pass is outside of it, as in a step
        torch.cuda.make_graphed_callables(run, (ids.clone(),), allow_unused_input=True)
    torch.cuda.set_rng_state(state, ids.device)
    replay: Callable[[Tensor], Tensor] = run.forward
    del run.forward  # which it has been replaced by: else all of it would live until the next garbage collection
    return replay


def replayable(net: Network, trainer: Trainer) -> bool:
    """Returns whether a fit's steps can be replayed: of a network of the ladder, on one CUDA device."""
    strategy = trainer.strategy
    alone = isinstance(strategy, SingleDeviceStrategy) and strategy.root_device.type == "cuda"
    return alone and type(net) in NETWORKS
