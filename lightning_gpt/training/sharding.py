"""Splits a network over all ranks, a share of each parameter on each: FSDP 2, as Lightning's `ModelParallelStrategy`.

"ZeRO", Rajbhandari et al. 2019, stage 3: weights, gradients and optimizer state are split, and a block's weights are
whole only while it computes. Checkpoints are whole, as those of any other run, so all that reads one reads these.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch.strategies import (
    DeepSpeedStrategy,
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
    StrategyRegistry,
)
from torch.distributed import broadcast
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Network
from lightning_gpt.ladder.network import Block

NAME = "model_parallel"
FLAT = (
    "trainer.strategy fsdp would train wrongly without a word: its ranks hold flat pieces of matrices, so none decays, "
    f"Muon moves none, and each rank clips by a norm of its own: take {NAME}, which is FSDP 2"
)
UNTRIED = (
    "trainer.strategy deepspeed was never tried, and saves a folder that can't be read safely: "
    f"take {NAME}, which splits a network, too"
)
REFUSED = {"fsdp": FLAT, "deepspeed": UNTRIED}  # strategies, by what their names begin with


class Sharded(ModelParallelStrategy):
    """Lightning's strategy with whole checkpoints, written and read by the Trainer's own, safe `CheckpointIO`.

    A folder of shards, its other way, is read by unpickling, by which a stranger's file could run code. The first rank
    gathers one tensor at a time, to the CPU; each rank reads the whole file and takes its share, so a run may go on
    with another number of ranks, or with one, by any strategy.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Has Lightning call `load_optimizer_state_dict`."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Gathers the weights, on the first rank."""
        assert self.lightning_module is not None
        first = self.is_global_zero
        weights = {name: kept(value, first) for name, value in self.lightning_module.state_dict().items()}
        return weights if first else {}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Gathers the optimizer's state, on the first rank."""
        first = self.is_global_zero
        mine: dict[str, Any] = super(ModelParallelStrategy, self).optimizer_state(optimizer)
        state = {i: {name: kept(x, first) for name, x in values.items()} for i, values in mine["state"].items()}
        return {**mine, "state": state} if first else {}

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Reads a whole checkpoint, on each rank."""
        return super(ModelParallelStrategy, self).load_checkpoint(checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Takes this rank's share of the weights."""
        assert self.lightning_module is not None
        mine = self.lightning_module.state_dict()
        shares = {name: share(value, mine.get(name)) for name, value in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(shares, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes this rank's share of the optimizer's state."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            state = {
                i: {name: share(x, parameters[i]) for name, x in values.items()} for i, values in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})


StrategyRegistry.register(NAME, Sharded, "FSDP 2: each rank holds a share of each parameter", override=True)


def must_suit(strategy: Strategy) -> None:
    """Refuses what would be wrong.

    Raises:
        UserError: the strategy is the first FSDP, DeepSpeed, or Lightning's own `ModelParallelStrategy`.
    """
    if isinstance(strategy, FSDPStrategy):
        raise UserError(FLAT)
    if isinstance(strategy, DeepSpeedStrategy):
        raise UserError(UNTRIED)
    if isinstance(strategy, ModelParallelStrategy) and not isinstance(strategy, Sharded):
        raise UserError(
            f"trainer.strategy: give the name {NAME}: Lightning's own ModelParallelStrategy saves in pieces that "
            "can't be read safely"
        )


def shard(net: Network, device: torch.device) -> None:
    """Splits a network's parameters over all ranks, in place; every rank begins with the first one's weights.

    Each block is gathered by itself, the rest together with the network.
    """
    with torch.no_grad():
        for weight in net.parameters():
            there = weight.to(device)
            broadcast(there, 0)
            weight.copy_(there)
    for module in reversed([x for x in net.modules() if isinstance(x, Network | Block)]):  # inner ones first
        fully_shard(module)


def whole(value: Any) -> Any:
    """Gathers a tensor that is split over the ranks, all of which must call it. Anything else stays what it is."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def kept(value: Any, keep: bool) -> Any:
    """As `whole`, to the CPU; None where it is not to `keep`, and the memory is free for the next one."""
    if not isinstance(value, DTensor):
        return value
    gathered = whole(value)
    return gathered.cpu() if keep else None


def share(value: Any, like: Any) -> Any:
    """Returns this rank's rows of a whole tensor, as it has those of `like`; what has no such rows stays whole."""
    if not isinstance(like, DTensor) or value.shape[:1] != like.shape[:1]:
        return value
    split = distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return split.clone()  # else it would keep the whole one's memory


def network_class(net: Network) -> type[Network]:
    """The class of a network, split or not: FSDP makes one of its own of it."""
    return next(kind for kind in type(net).__mro__ if issubclass(kind, Network) and not issubclass(kind, FSDPModule))


def gathered(net: Network, first: bool) -> Network | None:
    """Returns the network if it is whole and on the CPU, else a copy that is; None where not `first`.

    All ranks must call it. To write or to draw needs a network that one rank can run by itself. On a CPU, since a GPU
    waits longer for the launch of one token's kernels than a CPU computes them, if the network is small.
    """
    if not isinstance(net, FSDPModule) and next(net.parameters()).device.type == "cpu":
        return net if first else None
    weights = {name: kept(value, first) for name, value in net.state_dict().items()}
    if not first:
        return None
    kind: Callable[..., Network] = network_class(net)
    with torch.device("meta"):
        copy = kind(**net.sizes)
    copy.load_state_dict({name: weight.cpu() for name, weight in weights.items()}, assign=True)
    return copy.train(net.training)
