"""The table of tokenizers, by the names that configurations and checkpoints use."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lightning_gpt.errors import UserError, did_you_mean
from lightning_gpt.tokens.characters import Characters
from lightning_gpt.tokens.tokenizer import Pieces, Tokenizer

TOKENIZERS: dict[str, type[Tokenizer]] = {"characters": Characters}


@dataclass(frozen=True)
class Recipe:
    """A tokenizer that has been chosen and is yet to be made.

    Attributes:
        kind: its class.
        key: a part of a file's name that differs for whatever would be made differently from the same text.
        learn: makes it; see `Tokenizer.learn`.
    """

    kind: type[Tokenizer]
    key: str
    learn: Callable[[Pieces], Tokenizer]


def tokenizer_recipe(name: str, vocab_size: int | None = None) -> Recipe:
    """Looks up what a configuration has chosen.

    Raises:
        UserError: there is no such tokenizer, or it can't have so many tokens.
    """
    if vocab_size is not None and vocab_size < 1:
        raise UserError(f"data.vocab_size must be at least 1, not {vocab_size}")
    if name not in TOKENIZERS:
        raise UserError(f"no tokenizer {name!r}; {did_you_mean(name, TOKENIZERS)}")
    kind = TOKENIZERS[name]
    key = name if vocab_size is None else f"{name}.{vocab_size}"
    return Recipe(kind, key, partial(kind.learn, vocab_size=vocab_size))


def of_plain(plain: Any) -> Tokenizer:
    """Makes the tokenizer that `Tokenizer.as_plain` described. The values are not trusted.

    Raises:
        ValueError: it describes none.
    """
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise ValueError(f"no tokenizer of kind {str(kind)[:40]!r}")
    return TOKENIZERS[kind].of_plain(plain)
