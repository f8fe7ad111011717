"""Turns a corpus into blocks of ids. Knows nothing of networks."""

from lightning_gpt.text.blocks import IGNORE, HeldOutBlocks, TrainingBlocks
from lightning_gpt.text.corpus import Corpus, find_corpus
from lightning_gpt.text.examples import HeldOutExamples, TrainingExamples
from lightning_gpt.text.prepared import Tokens, prepare

__all__ = [
    "IGNORE",
    "Corpus",
    "HeldOutBlocks",
    "HeldOutExamples",
    "Tokens",
    "TrainingBlocks",
    "TrainingExamples",
    "find_corpus",
    "prepare",
]
