"""Turns text into ids and back: the `Tokenizer` contract, a file for each kind, and the table of kinds."""

from lightning_gpt.tokens.characters import Characters
from lightning_gpt.tokens.table import TOKENIZERS, Recipe, covering, of_plain, tokenizer_recipe
from lightning_gpt.tokens.tokenizer import Decoder, Tokenizer

__all__ = ["TOKENIZERS", "Characters", "Decoder", "Recipe", "Tokenizer", "covering", "of_plain", "tokenizer_recipe"]
