"""The decode step: one token through a network on a CPU, in NumPy, without PyTorch between the products.

For a single text each token costs one reading of the weights, if nothing else takes time. Much else does: some thirty
calls of PyTorch a layer, 1 to 10 microseconds each. The same step in NumPy, whose calls take a third of one, is the
same mathematics: what differs are the last bits of a sum. Nobody would learn a GPT from here: that is rungs 8 and 9.

Legend: C channels, H heads, D head size, V vocabulary, t tokens read before.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from lightning_gpt.ladder import GPT, Cache, CachedNetwork, Ensemble, ModernGPT
from lightning_gpt.ladder.kernels import rotation, squared_relu
from lightning_gpt.ladder.pointer import SHARPNESS, Pointer
from lightning_gpt.ladder.rung8b_gpt import GPTBlock, tanh_gelu
from lightning_gpt.ladder.rung9_modern import ModernAttention

Step = Callable[[Tensor, Cache], Tensor]  # as `CachedNetwork.forward`, but for exactly one token of each text
Function = Callable[[ndarray], ndarray]

EPS, TINY = torch.finfo(torch.float32).eps, torch.finfo(torch.float32).tiny


def decode_step(network: CachedNetwork, rows: int) -> Step | None:
    """Returns a faster step than the network's own: ids (B, 1) and a cache that is not empty to logits (B, 1, V), fp32.

    It reads the network's weights where they lie, for as long as they stay what they are. None: there is no faster one.

    Args:
        network: rung 8b or 9 or an ensemble of it; without dropout, whatever its mode.
        rows: texts B.
    """
    weight = network.embedding().weight
    if rows > 1 or weight.device.type != "cpu" or weight.dtype != torch.float32:
        return None
    if type(network) is Ensemble:
        return EnsembleStep(network)
    if type(network) in (GPT, ModernGPT):  # a class derived from them may be another network
        return DecodeStep(network)  # type: ignore[arg-type]
    return None


class DecodeStep:
    """The step of rung 8b or 9 for one text: ids (1, 1) to logits (1, 1, V)."""

    def __init__(self, network: GPT | ModernGPT) -> None:
        modern = network if isinstance(network, ModernGPT) else None
        positions, head = network.position_embedding, None if modern is None else modern.lm_head
        self.tokens = array(network.embedding().weight)  # (V, C)
        self.positions = None if positions is None else array(positions.weight)  # (block_size, C)
        self.embedding_norm = modern is not None and modern.config.embedding_norm
        self.convolution = None if modern is None else modern.convolution
        self.blocks = [BlockStep(block, network.block_size) for block in network.blocks]  # type: ignore[arg-type]
        self.norm = layer_norm(network.norm)
        self.head = self.tokens if head is None else array(head.weight)  # (V, C)
        self.softcap = None if modern is None else modern.config.softcap
        self.pointer = None if modern is None or modern.pointer is None else PointerStep(modern.pointer)
        self.cache: Cache | None = None

    def __call__(self, ids: Tensor, cache: Cache) -> Tensor:
        """Reads one more token."""
        if cache is not self.cache:
            self.cache = cache
            for block in self.blocks:
                block.keys, block.values = (array(x[0]) for x in cache.buffers(block.attention))
            if self.convolution is not None:
                (self.seen,) = (array(x[0]) for x in cache.buffers(self.convolution))  # (capacity, C)
            if self.pointer is not None:
                self.pointer.keys, self.pointer.tokens = (array(x[0]) for x in cache.buffers(self.pointer.layer))
        t, token = cache.length, int(ids)
        x = self.tokens[token]  # (C,)
        if self.positions is not None:
            x = x + self.positions[t]
        if self.embedding_norm:
            x = x * (float(np.dot(x, x)) / len(x) + EPS) ** -0.5
        if self.convolution is not None:
            self.seen[t] = x
            weight = array(self.convolution.weight)[: t + 1]  # (width, C), the last position's first
            x = x + np.einsum("tc,tc->c", self.seen[t - len(weight) + 1 : t + 1], weight[::-1])
        for block in self.blocks:
            x = block(x, t)
        x = self.norm(x)
        logits = np.dot(self.head, x)
        if self.softcap is not None:
            logits = self.softcap * np.tanh(logits / self.softcap)
        if self.pointer is not None:
            logits = self.pointer(x, logits, token, t)
        cache.length += 1
        return torch.from_numpy(logits)[None, None]


class BlockStep:
    """A block of rung 8b or 9: x (C,) at position t to (C,).

    Attributes:
        keys, values: (H, capacity, D), where the cache holds them.
    """

    keys: ndarray
    values: ndarray

    def __init__(self, block: GPTBlock, block_size: int) -> None:
        self.attention = attention = block.attention
        self.norm1, self.norm2 = layer_norm(block.norm1), layer_norm(block.norm2)
        layers = attention.qkv, attention.projection, block.mlp.fc, block.mlp.projection
        self.qkv, self.mix, self.fc, self.out = (linear(layer) for layer in layers)
        self.activation = ACTIVATIONS[block.mlp.activation]
        self.n_head, D = attention.n_head, attention.qkv.in_features // attention.n_head
        modern = attention if isinstance(attention, ModernAttention) else None
        self.qk_norm = modern is not None and modern.qk_norm
        self.rotary = modern is not None and modern.rotary
        self.window = block_size if modern is None or modern.window is None else modern.window
        cos, sin = map(array, rotation(block_size, D))  # (block_size, D/2)
        self.cos, self.sin = cos, np.stack([-sin, sin], axis=1)  # both are multiplied with pairs (2, D/2)
        self.scale = np.ones((2 * self.n_head, 1), np.float32)
        self.scale[: self.n_head] = D**-0.5  # of queries, none of keys

    def __call__(self, x: ndarray, t: int) -> ndarray:
        """Reads position t."""
        H = self.n_head
        qkv = self.qkv(self.norm1(x)).reshape(3 * H, -1)  # (3 H, D)
        qk = qkv[: 2 * H]
        if self.rotary:
            pairs = qk.reshape(2 * H, 2, -1)
            turned = pairs * self.cos[t]
            turned += pairs[:, ::-1] * self.sin[t]
            qk = turned.reshape(2 * H, -1)
        scale = self.scale
        if self.qk_norm:
            scale = np.vecdot(qk, qk)[:, None]  # (2 H, 1)
            scale /= qk.shape[-1]
            scale += EPS
            scale **= -0.5
            scale *= self.scale
        qk *= scale
        self.keys[:, t] = qk[H:]
        self.values[:, t] = qkv[2 * H :]
        seen = slice(max(0, t + 1 - self.window), t + 1)
        weights = np.matmul(self.keys[:, seen], qk[:H, :, None])  # (H, seen, 1)
        if not self.qk_norm:  # with it a score is sqrt(D) at most, whose exponential is no danger
            weights -= np.maximum.reduce(weights, axis=1, keepdims=True)
        np.exp(weights, out=weights)
        y = np.matmul(weights.swapaxes(1, 2), self.values[:, seen])  # (H, 1, D)
        y /= np.add.reduce(weights, axis=1, keepdims=True)
        x = x + self.mix(y.reshape(-1))
        x += self.out(self.activation(self.fc(self.norm2(x))))
        return x


class PointerStep:
    """`Pointer` for one position: what it read last and what it would say, x (C,) and logits (V,), to logits (V,).

    Attributes:
        keys, tokens: (capacity, size) and (capacity, 1), where the cache holds them.
    """

    keys: ndarray
    tokens: ndarray

    def __init__(self, layer: Pointer) -> None:
        self.layer = layer
        self.query, self.key, self.sentinel = (linear(x) for x in (layer.query, layer.key, layer.sentinel))

    def __call__(self, x: ndarray, logits: ndarray, token: int, t: int) -> ndarray:
        """Reads the token at position t."""
        self.keys[t], self.tokens[t] = unit(self.key(x)), token
        weights = np.exp(SHARPNESS * (np.dot(self.keys[:t], unit(self.query(x))) - 1))  # (t,)
        own = np.exp(logits - logits.max())
        sentinel = np.exp(self.sentinel(x))  # (1,)
        copied = np.bincount(self.tokens[1 : t + 1, 0], weights, len(logits)).astype(np.float32)  # (V,)
        likely = (copied + sentinel / own.sum() * own) / (weights.sum() + sentinel)
        np.maximum(likely, TINY, out=likely)
        return np.log(likely, out=likely)


class EnsembleStep:
    """The step of an ensemble for one text: averages its members' probabilities, see `Ensemble`."""

    def __init__(self, network: Ensemble) -> None:
        self.members = [(member, DecodeStep(member)) for member in network.members]  # type: ignore[arg-type]

    def __call__(self, ids: Tensor, cache: Cache) -> Tensor:
        """Reads one more token."""
        expected = [step(ids, cache.member(member)).log_softmax(dim=-1) for member, step in self.members]
        cache.length += 1
        return torch.stack(expected).logsumexp(dim=0) - math.log(len(expected))


def array(x: Tensor) -> ndarray:
    """The same memory for NumPy."""
    found: ndarray = x.detach().numpy()
    return found


def unit(x: ndarray) -> ndarray:
    """x (D,) to length 1, as `Pointer.directions`."""
    x *= (float(np.dot(x, x)) + len(x) * EPS) ** -0.5
    return x


def linear(layer: nn.Linear) -> Function:
    """A linear layer: x (C,) to (O,)."""
    matrix, bias = array(layer.weight), None if layer.bias is None else array(layer.bias)
    if bias is None:
        return lambda x: np.dot(matrix, x)
    return lambda x: np.dot(matrix, x) + bias


def layer_norm(norm: nn.LayerNorm) -> Function:
    """LayerNorm: x (C,) to (C,)."""
    weight, bias = array(norm.weight), None if norm.bias is None else array(norm.bias)
    C, eps = len(weight), norm.eps
    mean = np.full(C, 1 / C, np.float32)

    def normed(x: ndarray) -> ndarray:
        x = x - np.dot(x, mean)
        x *= (float(np.dot(x, x)) / C + eps) ** -0.5
        x *= weight
        if bias is not None:
            x += bias
        return x

    return normed


def squared(x: ndarray) -> ndarray:
    """`squared_relu`, in place."""
    np.maximum(x, 0, out=x)
    x *= x
    return x


def exact_gelu(x: ndarray) -> ndarray:
    """GELU, to 2e-7: max(x, 0) - |x| erfc(|x| / sqrt(2)) / 2, erfc by formula 7.1.26 of Abramowitz and Stegun (1964).

    Not by torch.erf, whose threads and those of NumPy's products would wait busily in each other's way: 5 ms a call
    once somebody has called torch.set_num_threads(2).
    """
    size = np.abs(x)
    t = size * (0.3275911 * 0.5**0.5)
    t += 1
    np.reciprocal(t, out=t)
    y = t * 1.061405429
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        y += coefficient
        y *= t
    np.multiply(x, x, out=t)
    t *= -0.5
    y *= np.exp(t, out=t)
    y *= size
    y *= -0.5
    y += np.maximum(x, 0)
    return y


def approximate_gelu(x: ndarray) -> ndarray:
    """`tanh_gelu`."""
    y: ndarray = np.tanh((x * x * 0.044715 + 1) * x * (2 / math.pi) ** 0.5)
    y += 1
    y *= x
    y *= 0.5
    return y


ACTIVATIONS: dict[Any, Function] = {squared_relu: squared, F.gelu: exact_gelu, tanh_gelu: approximate_gelu}
