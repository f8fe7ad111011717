"""How the weights are moved: recipes that turn a network into a torch optimizer. One optimizer object a run."""

from abc import ABC, abstractmethod

import torch
from torch import nn
from torch.optim import Optimizer


class OptimizerRecipe(ABC):
    """What the configuration chooses; `build` makes the optimizer once the network is there."""

    @abstractmethod
    def build(self, network: nn.Module, fused: bool = True) -> Optimizer:
        """An optimizer over all parameters of the network, in groups; `fused` allows one kernel for all of them."""


class AdamW(OptimizerRecipe):
    """AdamW ("Decoupled Weight Decay Regularization", Loshchilov, Hutter 2017), decay on matrices only.

    Args:
        lr: full learning rate, before the schedule.
        betas: decay of the running means of the gradient and of its square.
        weight_decay: share of each matrix taken off per unit of learning rate; biases and norms are left alone.
    """

    def __init__(self, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.1) -> None:
        self.lr = lr
        self.betas = betas
        self.weight_decay = weight_decay

    def build(self, network: nn.Module, fused: bool = True) -> Optimizer:
        """Two groups: what has at least two dimensions, decayed, and the rest."""
        parameters = [p for p in network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=self.lr, betas=self.betas, fused=fused)
