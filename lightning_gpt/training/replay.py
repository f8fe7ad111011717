"""CUDA graphs: a network's kernels of forward and backward pass, recorded once and replayed at every step.

A GPU computes a small network's kernels faster than Python launches them, some thousand a step; a graph of them is
launched at once, and the kernels are the same. Nothing is compiled, so recording takes less than a second.
"""

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn

from lightning_gpt.ladder import Network


class Replay:
    """Calls a network that is trained on CUDA: ids (B, T) to logits (B, T, V), good until the next call.

    Batches of the first one's shape are replayed, if gradients are wanted; all others run as they would without this.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self._recorded: nn.Module | None = None
        self._shape: torch.Size | None = None

    def __call__(self, ids: Tensor) -> Tensor:
        """Runs the network."""
        if not self.net.training or not torch.is_grad_enabled():
            return self.net(ids)
        if self._recorded is None:
            self._recorded, self._shape = recorded(self.net, ids), ids.shape
        return self._recorded(ids) if ids.shape == self._shape else self.net(ids)


class Wrapped(nn.Module):
    """A network by another name: recording replaces a module's `forward`, and the network's is needed."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        return self.net(ids)


def recorded(net: Network, ids: Tensor) -> nn.Module:
    """Records a network's passes over batches shaped as ids (B, T), in the precision of the moment.

    The random state stays what it was: what dropout draws is decided by the seed that is set before each step.
    """
    state = torch.cuda.get_rng_state(ids.device)
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    # weights cast for one pass and kept for another would be those of this moment for ever
    with torch.autocast("cuda", dtype, enabled, cache_enabled=False):
        module = torch.cuda.make_graphed_callables(Wrapped(net), (ids.clone(),), allow_unused_input=True)
    assert isinstance(module, nn.Module)
    torch.cuda.set_rng_state(state, ids.device)
    return module


def replayable(trainer: Trainer) -> bool:
    """Returns whether a fit's steps can be replayed: on one CUDA device, a batch a step.

    A second batch's gradients would be written over the first one's, to which they are to be added.
    """
    strategy = trainer.strategy
    alone = isinstance(strategy, SingleDeviceStrategy) and strategy.root_device.type == "cuda"
    return alone and trainer.accumulate_grad_batches == 1
