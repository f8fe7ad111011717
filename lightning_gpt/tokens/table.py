"""The table of tokenizers, by the names that configurations and checkpoints use."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lightning_gpt.errors import UserError, did_you_mean
from lightning_gpt.tokens.characters import Characters
from lightning_gpt.tokens.tokenizer import Pieces, Tokenizer, token_ids

TOKENIZERS: dict[str, type[Tokenizer]] = {"characters": Characters}


@dataclass(frozen=True)
class Recipe:
    """A tokenizer that has been chosen and is yet to be made.

    Attributes:
        kind: its class.
        keys: names of what it makes of a text, as parts of files' names; what is made anew has the last of them.
        learn: makes it; see `Tokenizer.learn`.
        fits: whether a tokenizer that was made before is as good.
    """

    kind: type[Tokenizer]
    keys: tuple[str, ...]
    learn: Callable[[Pieces], Tokenizer]
    fits: Callable[[Tokenizer], bool]


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
    return Recipe(kind, (key,), partial(kind.learn, vocab_size=vocab_size), lambda made: isinstance(made, kind))


def covering(tokenizer: Tokenizer, recipe: Recipe, add: bool = False) -> Recipe:
    """Makes the recipe for a further text of a network that has a tokenizer: its own, or that with tokens added.

    Args:
        tokenizer: the network's.
        recipe: the text's own; where that makes the same tokenizer, a text is not prepared twice.
        add: see `Tokenizer.covering`, which is how it is made.

    Raises:
        UserError: they are of two kinds.
    """
    if recipe.kind is not type(tokenizer):
        raise UserError(
            f"the checkpoint's tokenizer is {tokenizer.kind}, not {recipe.kind.kind}: --data.tokenizer {tokenizer.kind}"
        )
    plain = json.dumps(tokenizer.as_plain(), sort_keys=True, ensure_ascii=True)
    key = f"{tokenizer.kind}.{hashlib.sha256(plain.encode()).hexdigest()[:12]}{'+' if add else ''}"
    fits = partial(includes, part=tokenizer) if add else tokenizer.__eq__
    return Recipe(type(tokenizer), (*recipe.keys, key), partial(tokenizer.covering, add=add), fits)


def includes(whole: Tokenizer, part: Tokenizer) -> bool:
    """Returns whether one tokenizer has all tokens of another of its kind."""
    return whole.kind == part.kind and set(token_ids(part)) <= set(token_ids(whole))


def of_plain(plain: Any) -> Tokenizer:
    """Makes the tokenizer that `Tokenizer.as_plain` described. The values are not trusted.

    Raises:
        ValueError: it describes none.
    """
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise ValueError(f"no tokenizer of kind {str(kind)[:40]!r}")
    return TOKENIZERS[kind].of_plain(plain)
