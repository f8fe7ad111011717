"""Optimizer recipes: each makes a torch optimizer for a network. One optimizer object a run."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributed import all_reduce
from torch.distributed.tensor import DTensor, Shard
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Network
from lightning_gpt.training.shares import in_shares


class OptimizerRecipe(ABC):
    """An optimizer's options, as configured; `build` makes the optimizer once the network is there."""

    @abstractmethod
    def build(self, network: Network, fused: bool = True, bf16: bool = False) -> Optimizer:
        """Makes an optimizer over all parameters of the network, in groups.

        Args:
            network: whose parameters are updated.
            fused: allow one kernel for all of them.
            bf16: compute in bf16 what may be inexact.
        """

    def check(self) -> None:
        """Refuses a rate or decay that is below 0 or not finite, and a mean that would not decay.

        Raises:
            UserError: the first of them.
        """
        for name, value in vars(self).items():
            if name.endswith(("lr", "decay")) and not 0 <= value < math.inf:
                raise UserError(f"model.optimizer.{name} must be a number of at least 0, not {value}")
            shares = {"momentum": [value], "betas": value}.get(name.rpartition("_")[2], [])
            if not all(0 <= share < 1 for share in shares):
                raise UserError(f"model.optimizer.{name} must be in [0, 1), not {value}")


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

    def build(self, network: Network, fused: bool = True, bf16: bool = False) -> Optimizer:
        """Makes two groups: what has at least two dimensions, decayed, and the rest."""
        parameters = [p for p in network.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW([g for g in groups if g["params"]], lr=self.lr, betas=self.betas, fused=fused)


class Muon(OptimizerRecipe):
    """Muon for the matrices of the blocks, AdamW for embeddings, head and vectors, as one optimizer.

    Args:
        lr: Muon's full learning rate, before the schedule.
        momentum: decay of the running mean of the gradient.
        second_momentum: decay of the running mean of each row's squares, see `MuonAdamW`; 0: rows stay as they are.
        weight_decay: share of each block matrix taken off per unit of learning rate.
        cautious: take it off only where the step itself makes a weight smaller: "Cautious Weight Decay", Chen et al.
            2025.
        adamw_lr: AdamW's full learning rate; the schedule scales both alike.
        adamw_betas: as in AdamW.
        adamw_weight_decay: for the other matrices (embeddings and head); vectors are left alone.
    """

    def __init__(
        self,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
        adamw_lr: float = 3e-3,
        adamw_betas: tuple[float, float] = (0.9, 0.95),
        adamw_weight_decay: float = 0.0,
        second_momentum: float = 0.0,
        cautious: bool = False,
    ) -> None:
        self.lr = lr
        self.momentum = momentum
        self.second_momentum = second_momentum
        self.cautious = cautious
        self.weight_decay = weight_decay
        self.adamw_lr = adamw_lr
        self.adamw_betas = adamw_betas
        self.adamw_weight_decay = adamw_weight_decay

    def build(self, network: Network, fused: bool = True, bf16: bool = False) -> Optimizer:
        """Makes three groups: block matrices, other matrices, vectors. A network without blocks has no first group."""
        parameters = [p for p in network.parameters() if p.requires_grad]
        hidden = set(network.hidden_matrices())
        inside = [p for p in parameters if p in hidden]
        outside = [p for p in parameters if p.ndim >= 2 and p not in hidden]
        adam = {"muon": False, "lr": self.adamw_lr, "betas": self.adamw_betas}
        groups = [
            {"params": inside, "muon": True, "lr": self.lr, "weight_decay": self.weight_decay},
            {"params": outside, **adam, "weight_decay": self.adamw_weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], **adam, "weight_decay": 0.0},
        ]
        return MuonAdamW(
            [g for g in groups if g["params"]],
            self.momentum,
            self.second_momentum,
            self.cautious,
            fused=fused,
            bf16=bf16,
        )


class MuonAdamW(Optimizer):
    """Updates groups with `muon` true by Muon, the others by AdamW; torch's own mathematics for both.

    "Muon", Jordan et al. 2024: the momentum's singular values are all made about 1, so that no direction of a matrix
    is learned faster than another. Same-shaped matrices are stacked and orthogonalised together: few large products.

    With a second momentum each row of that is divided by the root of its running mean square, and the whole made as
    long as it was: no neuron learns faster than another, either. "NorMuon", Li et al. 2025.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        momentum: float = 0.95,
        second_momentum: float = 0.0,
        cautious: bool = False,
        eps: float = 1e-8,
        fused: bool = True,
        bf16: bool = False,
    ) -> None:
        super().__init__(groups, {"momentum": momentum, "eps": eps, "fused": fused})
        self.second_momentum = second_momentum
        self.cautious = cautious
        self.dtype = torch.bfloat16 if bf16 else torch.float32  # chosen by the machine, so not saved in the checkpoint

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            (self._muon if group["muon"] else self._adamw)(parameters, group)
        return loss

    def _muon(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        shapes: dict[torch.Size, list[Tensor]] = {}
        for p in parameters:
            shapes.setdefault(p.shape, []).append(p)
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
                if self.second_momentum:
                    self.state[p]["second"] = torch.zeros_like(p[:, :1])
        directions = self._directions(list(shapes.values()), group["momentum"])
        for (rows, columns), alike in shapes.items():
            direction = next(directions)
            if self.second_momentum:
                direction = self._normalised(alike, direction)
            weights, each = my_rows(alike), list(direction)
            decay = group["lr"] * group["weight_decay"]
            if self.cautious:
                decayed = torch._foreach_mul(weights, each)  # above 0 where the step makes a weight smaller
                torch._foreach_sign_(decayed)
                torch._foreach_clamp_min_(decayed, 0.0)
                torch._foreach_addcmul_(weights, weights, decayed, value=-decay)
            else:
                torch._foreach_mul_(weights, 1 - decay)
            # sqrt: a tall matrix has few columns to move, each of them as far as in a square one
            torch._foreach_add_(weights, each, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _directions(self, shapes: list[list[Tensor]], momentum: float) -> Iterator[Tensor]:
        """Yields the directions of each shape's n matrices in turn, (n, rows, columns), or this rank's rows of them."""
        matrices = [p for alike in shapes for p in alike]
        if isinstance(matrices[0], DTensor):
            assert all(isinstance(p, DTensor) and p.placements == (Shard(0),) for p in matrices)
            rows, group = [p.shape[0] for p in matrices], matrices[0].device_mesh.get_group()
            updates = [x.to(self.dtype) for x in self._updates(matrices, momentum)]
            directions = iter(in_shares(updates, rows, orthogonalised, group))
            for alike in shapes:
                yield torch.stack([next(directions) for _ in alike]).to(alike[0].dtype)
            return
        for alike in shapes:
            stacked = torch.stack(self._updates(alike, momentum))
            yield orthogonalised(stacked.to(self.dtype)).to(stacked.dtype)

    def _normalised(self, parameters: list[Tensor], directions: Tensor) -> Tensor:
        """Divides each row of the directions (n, rows, columns) by its running size, and keeps each matrix's length."""
        directions = directions.contiguous()  # in whatever layout it comes, it is summed up in the same order
        squares = directions.square().mean(dim=-1, keepdim=True)  # (n, rows, 1)
        seconds = my_rows([self.state[p]["second"] for p in parameters])
        torch._foreach_lerp_(seconds, list(squares), 1 - self.second_momentum)
        # that they begin at 0 is one factor for all rows, which the lengths take out again
        inverse = torch.stack(seconds).clamp(min=1e-16).reciprocal()
        lengths = torch.stack([squares.sum(dim=-2), (squares * inverse).sum(dim=-2)])  # (2, n, 1), squared
        if isinstance(parameters[0], DTensor):
            all_reduce(lengths, group=parameters[0].device_mesh.get_group())
        before, after = lengths.unsqueeze(-1)
        return directions * (inverse * before / after.clamp(min=1e-16)).sqrt()

    def _updates(self, parameters: list[Tensor], momentum: float) -> list[Tensor]:
        gradients = my_rows([p.grad for p in parameters if p.grad is not None])
        momenta = my_rows([self.state[p]["momentum"] for p in parameters])
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        return list(torch._foreach_lerp(gradients, momenta, momentum))  # Nesterov

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for p in parameters:
            if not self.state[p]:
                self.state[p]["step"] = torch.tensor(0.0, device=p.device if group["fused"] else "cpu")
                self.state[p]["exp_avg"] = torch.zeros_like(p)
                self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
        states = [self.state[p] for p in parameters]
        adamw(
            my_rows(parameters),
            my_rows([p.grad for p in parameters if p.grad is not None]),
            my_rows([state["exp_avg"] for state in states]),
            my_rows([state["exp_avg_sq"] for state in states]),
            [],
            [state["step"] for state in states],
            fused=group["fused"],
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def my_rows(tensors: list[Tensor]) -> list[Tensor]:
    """Returns this rank's rows of each tensor, the same memory; of one that is not split all of them."""
    return [x.to_local() if isinstance(x, DTensor) else x for x in tensors]


QUINTIC = 3.4445, -4.7750, 2.0315


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """matrices (n, rows, columns) to ones with the same singular vectors and singular values of about 1.

    Newton-Schulz iteration with the quintic of Jordan et al. 2024, which trades exactness (values end within 0.7 to
    1.2) for few steps; bf16 is exact enough for it.
    """
    a, b, c = QUINTIC
    x = matrices
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    if x.dtype == torch.float32 and x.shape[-2] < x.shape[-1]:
        x = polynomial(x @ x.mT, steps) @ x
    else:
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def polynomial(gram: Tensor, steps: int) -> Tensor:
    """Gram matrices (n, rows, rows) of some x to the product of all steps' factors of x, (n, rows, rows).

    Each step multiplies x by a quintic's even part in x's Gram matrix, so all of them follow from the first one. Of
    oblong matrices this makes the smaller products: half the time. bf16 is too coarse for it.
    """
    a, b, c = QUINTIC

    def factor(gram: Tensor) -> Tensor:
        even = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        even.diagonal(dim1=-2, dim2=-1).add_(a)
        return even

    last = product = factor(gram)
    for _ in range(steps - 1):
        gram = last @ gram @ last
        last = factor(gram)
        product = last @ product
    return product
