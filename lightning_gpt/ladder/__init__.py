"""The lecture as a ladder of networks, one file a rung, one idea a rung. Pure PyTorch: knows nothing of Lightning.

Read the files in order; `RUNGS` below is their table of contents.
"""

from typing import NamedTuple

from lightning_gpt.ladder.cache import Cache
from lightning_gpt.ladder.ensemble import Ensemble
from lightning_gpt.ladder.network import CachedNetwork, Network
from lightning_gpt.ladder.rung1_bigram import Bigram
from lightning_gpt.ladder.rung2_averaging import (
    Averaging,
    causal_average_loops,
    causal_average_matrix,
    causal_average_softmax,
)
from lightning_gpt.ladder.rung3_head import Head, OneHead
from lightning_gpt.ladder.rung4_multi_head import MultiHead, MultiHeadAttention
from lightning_gpt.ladder.rung5_feed_forward import AttendAndThink, FeedForward
from lightning_gpt.ladder.rung6_residual import Residual, ResidualBlock
from lightning_gpt.ladder.rung7_layer_norm import LayerNorm, Normed
from lightning_gpt.ladder.rung8_gpt import GPT, CausalSelfAttention
from lightning_gpt.ladder.rung9_modern import ModernGPT


class Rung(NamedTuple):
    """A step of the ladder: its network, its one idea, and the held-out loss that the source wrote beside it (nats)."""

    network: type[Network]
    idea: str
    reference: float | None


RUNGS = (
    Rung(Bigram, "the next character from this one alone", 2.5),
    Rung(Averaging, "embed characters and positions, average the past, project", None),
    Rung(OneHead, "the average becomes data-dependent: one causal self-attention head", 2.41),
    Rung(MultiHead, "four heads side by side", 2.28),
    Rung(AttendAndThink, "think after talking: one ReLU layer per position", 2.24),
    Rung(Residual, "three blocks with residual paths, projections, 4x feed-forward", 2.08),
    Rung(Normed, "pre-norm blocks and a final norm", 2.06),
    Rung(GPT, "nanoGPT's network: fused heads, GELU, tied head, dropout, scaled init", 1.4697),
    Rung(ModernGPT, "what the field learned since, one named option each", None),
)

NETWORKS: tuple[type[Network], ...] = (*(rung.network for rung in RUNGS), Ensemble)

__all__ = [
    "GPT",
    "NETWORKS",
    "RUNGS",
    "AttendAndThink",
    "Averaging",
    "Bigram",
    "Cache",
    "CachedNetwork",
    "CausalSelfAttention",
    "Ensemble",
    "FeedForward",
    "Head",
    "LayerNorm",
    "ModernGPT",
    "MultiHead",
    "MultiHeadAttention",
    "Network",
    "Normed",
    "OneHead",
    "Residual",
    "ResidualBlock",
    "Rung",
    "causal_average_loops",
    "causal_average_matrix",
    "causal_average_softmax",
]
