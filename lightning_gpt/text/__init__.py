"""From a text to blocks of numbered characters. Knows nothing of networks."""

from lightning_gpt.text.blocks import IGNORE, HeldOutBlocks, TrainingBlocks
from lightning_gpt.text.corpus import Corpus, find_corpus
from lightning_gpt.text.tokens import Tokens, prepare
from lightning_gpt.text.vocabulary import Vocabulary

__all__ = ["IGNORE", "Corpus", "HeldOutBlocks", "Tokens", "TrainingBlocks", "Vocabulary", "find_corpus", "prepare"]
