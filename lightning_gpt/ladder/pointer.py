"""The pointer: what comes next may be what came next before, at a similar place. No rung: an option of rung 9.

A text repeats its names and its words, and a small network that has read little learns no heads that would look them
up. So it is given one: "Pointer Sentinel Mixture Models", Merity et al. 2016; what it compares are the network's own
last states, as in "Improving Neural Language Models with a Continuous Cache", Grave, Joulin, Usunier 2017.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder.cache import Cache
from lightning_gpt.ladder.kernels import unit_rms

SHARPNESS = 20.0  # score of equal directions above that of orthogonal ones
FEW = 256  # tokens V up to which a product adds up weights faster than one after another, in bf16 or on a GPU


class Pointer(nn.Module):
    """Mixes the network's probabilities with those of the tokens that followed at earlier positions of the block.

    Position t compares itself with each position i < t, whose next token is known: a weight of exp(score), 1 at most,
    goes to that token, and exp(sentinel) to the network's own probabilities. The sum of all is 1 after division.

    Args:
        n_embd: channels C.
        size: channels of queries and keys, whose direction alone counts.
    """

    def __init__(self, n_embd: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(n_embd, size, bias=False)
        self.key = nn.Linear(n_embd, size, bias=False)
        self.sentinel = nn.Linear(n_embd, 1)

    def init_weights(self) -> None:
        """Lets similar states point at each other from the first step on: queries and keys begin as the same."""
        directions = nn.init.orthogonal_(torch.empty_like(self.query.weight, dtype=torch.float32))
        with torch.no_grad():
            for layer in (self.query, self.key):
                layer.weight.copy_(directions)
        nn.init.zeros_(self.sentinel.weight)
        nn.init.ones_(self.sentinel.bias)

    def forward(self, x: Tensor, logits: Tensor, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Last states x (B, T, C), the network's logits (B, T, V) and what it read, ids (B, T), to logits (B, T, V)."""
        start, V = 0 if cache is None else cache.length, logits.shape[-1]
        query, key, token = self.directions(self.query, x), self.directions(self.key, x), ids.long().unsqueeze(-1)
        if cache is not None:
            key, token = cache.extend(self, key, token)  # (B, start + T, size), (B, start + T, 1)
        T, seen = query.shape[1], key.shape[1] - 1
        later = torch.ones(T, seen, dtype=torch.bool, device=x.device).triu(start)
        offset = query.new_full((T, seen), -SHARPNESS).masked_fill(later, float("-inf"))
        weights = torch.baddbmm(offset, SHARPNESS * query, key[:, :-1].mT).exp()  # (B, T, start + T - 1)
        copied = votes(weights, token[:, 1:, 0], V)
        sentinel = self.sentinel(x).float().exp()  # (B, T, 1)
        likely = (copied + sentinel * logits.float().softmax(dim=-1)) / (copied.sum(dim=-1, keepdim=True) + sentinel)
        return likely.clamp(min=torch.finfo(likely.dtype).tiny).log()

    @staticmethod
    def directions(layer: nn.Module, x: Tensor) -> Tensor:
        """x (B, T, C) to vectors of length 1, (B, T, size)."""
        y: Tensor = layer(x)
        return unit_rms(y) * y.shape[-1] ** -0.5


def votes(weights: Tensor, token: Tensor, V: int) -> Tensor:
    """Adds up the weights (B, T, S) that go to each token, of tokens (B, S): to (B, T, V), in fp32."""
    T, few = weights.shape[1], V <= FEW  # of many, one-hot rows would take more memory than all else
    if few and T > 1 and (weights.dtype != torch.float32 or weights.device.type != "cpu"):
        rows = F.one_hot(token, V).to(weights.dtype)
        if weights.is_cuda and torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda") == torch.float16:
            # not in fp16, where the gradient of a small share would be more than the largest number
            with torch.autocast("cuda", enabled=False):
                return weights.float() @ rows.float()
        return (weights @ rows).float()
    none = weights.new_zeros(*weights.shape[:2], V, dtype=torch.float32)
    return none.scatter_add(-1, token.unsqueeze(1).expand_as(weights), weights.float())
