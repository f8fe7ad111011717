"""Turns text into ids and back: the `Tokenizer` contract, a file for each kind, and the table of kinds."""

from lightning_gpt.tokens.bpe import BPE
from lightning_gpt.tokens.bytes import Bytes
from lightning_gpt.tokens.characters import Characters
from lightning_gpt.tokens.table import TOKENIZERS, Recipe, must_be_a_choice, names_a_file, of_plain, tokenizer_recipe
from lightning_gpt.tokens.tokenizer import Decoder, Tokenizer

__all__ = [
    "BPE",
    "TOKENIZERS",
    "Bytes",
    "Characters",
    "Decoder",
    "Recipe",
    "Tokenizer",
    "must_be_a_choice",
    "names_a_file",
    "of_plain",
    "tokenizer_recipe",
]
