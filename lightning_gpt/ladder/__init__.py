"""The lecture as a ladder of networks, one file a rung, one idea a file. Pure PyTorch: knows nothing of Lightning.

The lecture is "Let's build GPT: from scratch, in code, spelled out" by Andrej Karpathy, 2023,
https://www.youtube.com/watch?v=kCc8FmEb1nY; its times stand in the files as minutes:seconds. Read the files in order;
`RUNGS` below is their table of contents. From text to training to sampling on one page: `lightning_gpt.lecture`.
"""

from typing import NamedTuple

from lightning_gpt.ladder.cache import Cache, CachedNetwork
from lightning_gpt.ladder.ensemble import Ensemble
from lightning_gpt.ladder.network import Attention, Block, Network, NetworkConfig
from lightning_gpt.ladder.rung1_bigram import Bigram
from lightning_gpt.ladder.rung2_averaging import (
    Averaging,
    causal_average_loops,
    causal_average_matrix,
    causal_average_softmax,
)
from lightning_gpt.ladder.rung3_head import (
    Head,
    SingleHeadGPT,
    UnscaledHead,
    cross_attention,
    cross_attention_weights,
)
from lightning_gpt.ladder.rung4_multi_head import MultiHeadAttention, MultiHeadGPT
from lightning_gpt.ladder.rung5_feed_forward import FeedForward, FeedForwardGPT
from lightning_gpt.ladder.rung6_residual import ProjectedAttention, ResidualBlock, ResidualGPT
from lightning_gpt.ladder.rung7_layer_norm import LayerNorm, LayerNormGPT
from lightning_gpt.ladder.rung8a_fused_attention import CausalSelfAttention
from lightning_gpt.ladder.rung8b_gpt import GPT
from lightning_gpt.ladder.rung9_modern import ModernGPT


class Rung(NamedTuple):
    """A step of the ladder: its network, its one idea, and the held-out loss that the source wrote beside it (nats)."""

    network: type[Network]
    idea: str
    reference: float | None


RUNGS = (
    Rung(Bigram, "the next character from this one alone", 2.5),
    Rung(Averaging, "embed characters and positions, average the past, project", None),
    Rung(SingleHeadGPT, "the average becomes data-dependent: one causal self-attention head", 2.41),
    Rung(MultiHeadGPT, "four heads side by side", 2.28),
    Rung(FeedForwardGPT, "think after talking: one ReLU layer per position", 2.24),
    Rung(ResidualGPT, "three blocks with residual paths, projections, 4x feed-forward", 2.08),
    Rung(LayerNormGPT, "pre-norm blocks and a final norm", 2.06),
    Rung(GPT, "nanoGPT's network: fused heads, GELU, tied head, dropout, scaled init", 1.4697),
    Rung(ModernGPT, "what the field learned since, one named option each", None),
)

NETWORKS: tuple[type[Network], ...] = (*(rung.network for rung in RUNGS), Ensemble)


__all__ = [
    "GPT",
    "NETWORKS",
    "RUNGS",
    "Attention",
    "Averaging",
    "Bigram",
    "Block",
    "Cache",
    "CachedNetwork",
    "CausalSelfAttention",
    "Ensemble",
    "FeedForward",
    "FeedForwardGPT",
    "Head",
    "LayerNorm",
    "LayerNormGPT",
    "ModernGPT",
    "MultiHeadAttention",
    "MultiHeadGPT",
    "Network",
    "NetworkConfig",
    "ProjectedAttention",
    "ResidualBlock",
    "ResidualGPT",
    "Rung",
    "SingleHeadGPT",
    "UnscaledHead",
    "causal_average_loops",
    "causal_average_matrix",
    "causal_average_softmax",
    "cross_attention",
    "cross_attention_weights",
]
