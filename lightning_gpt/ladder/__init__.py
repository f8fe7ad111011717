"""The lecture as a ladder of networks, one file a rung, one idea a rung. Pure PyTorch: knows nothing of Lightning.

    1  Bigram          the next character from this one alone
    2  Averaging       embed characters and positions, average the past, project
    3  OneHead         the average becomes data-dependent: one causal self-attention head
    4  MultiHead       four heads side by side
    5  AttendAndThink  think after talking: one ReLU layer per position
    6  Residual        three blocks with residual paths, projections, 4x feed-forward
    7  Normed          pre-norm blocks and a final norm
    8  GPT             nanoGPT's network: fused heads, GELU, tied head, dropout, scaled init
    9  ModernGPT       what the field learned since, one named option each
"""

from lightning_gpt.ladder.network import Network
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

RUNGS: tuple[type[Network], ...] = (
    Bigram,
    Averaging,
    OneHead,
    MultiHead,
    AttendAndThink,
    Residual,
    Normed,
    GPT,
    ModernGPT,
)

__all__ = [
    "GPT",
    "RUNGS",
    "AttendAndThink",
    "Averaging",
    "Bigram",
    "CausalSelfAttention",
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
    "causal_average_loops",
    "causal_average_matrix",
    "causal_average_softmax",
]
