"""The table of tokenizers, by the names that configurations and checkpoints use."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError, did_you_mean
from lightning_gpt.tokens.bpe import BPE
from lightning_gpt.tokens.bytes import Bytes
from lightning_gpt.tokens.characters import Characters
from lightning_gpt.tokens.tokenizer import Pieces, Tokenizer, token_ids

TOKENIZERS: dict[str, type[Tokenizer]] = {"characters": Characters, "bytes": Bytes, "bpe": BPE}


@dataclass(frozen=True)
class Recipe:
    """A tokenizer that has been chosen and may be yet to be made.

    Attributes:
        kind: its class.
        keys: parts of a file's name, under which a text that was prepared with it may be found; whatever would be made
            differently from the same text has another. It is saved under the last one.
        learn: makes it; see `Tokenizer.learn`.
        size: how many tokens shall be learned; None leaves no choice.
        made: a tokenizer that is there already.
        add: whether tokens may be added to that; see `Tokenizer.covering`.
    """

    kind: type[Tokenizer]
    keys: tuple[str, ...]
    learn: Callable[[Pieces], Tokenizer]
    size: int | None = None
    made: Tokenizer | None = None
    add: bool = False

    @classmethod
    def of(cls, tokenizer: Tokenizer, add: bool = False) -> "Recipe":
        """Makes the recipe of a tokenizer that is there already, for the text that it was made for or another one."""
        plain = json.dumps(tokenizer.as_plain(), sort_keys=True).encode()
        kind = tokenizer.kind
        own = f"{kind}.{hashlib.sha256(plain).hexdigest()[:16]}{'+' if add else ''}"
        keys = kind, f"{kind}.{len(tokenizer)}", own
        return cls(type(tokenizer), keys, partial(tokenizer.covering, add=add), made=tokenizer, add=add)

    def makes(self, tokenizer: Tokenizer) -> bool:
        """Returns whether this tokenizer, found under one of the keys, is one that the recipe makes."""
        if self.made is None:
            return isinstance(tokenizer, self.kind)
        if self.add:  # its own characters are all that a text gives it beyond those that were known
            return isinstance(tokenizer, self.kind) and token_ids(self.made).keys() <= token_ids(tokenizer).keys()
        return tokenizer == self.made


def names_a_file(name: str) -> bool:
    """Tells the path of a tokenizer.json from a name in the table."""
    return name.endswith(".json")


def must_be_a_choice(name: str, vocab_size: int | None = None) -> None:
    """Checks what a configuration has chosen, and reads no file.

    Raises:
        UserError: there is no such tokenizer, or it can't have so many tokens.
    """
    if vocab_size is not None and vocab_size < 1:
        raise UserError(f"data.vocab_size must be at least 1, not {vocab_size}")
    if names_a_file(name):
        if vocab_size is not None:
            raise UserError(f"data.vocab_size is not for a tokenizer that is there already, {name}: leave it out")
    elif name not in TOKENIZERS:
        there_are = f"there are {', '.join(TOKENIZERS)}, or the path of a tokenizer.json"
        raise UserError(f"no tokenizer {name!r}; {did_you_mean(name, TOKENIZERS, there_are)}")
    else:
        TOKENIZERS[name].chosen_size(vocab_size)


def tokenizer_recipe(name: str, vocab_size: int | None = None) -> Recipe:
    """Looks up what a configuration has chosen: a name in the table, or the path of a tokenizer.json.

    Raises:
        UserError: there is no such tokenizer, it can't have so many tokens, or the file is none.
    """
    must_be_a_choice(name, vocab_size)
    if names_a_file(name):
        return Recipe.of(BPE.read(Path(name).expanduser()))
    kind = TOKENIZERS[name]
    size = kind.chosen_size(vocab_size)
    key = name if size is None else f"{name}.{size}"
    return Recipe(kind, (key,), partial(kind.learn, vocab_size=size), size)


def of_plain(plain: Any) -> Tokenizer:
    """Makes the tokenizer that `Tokenizer.as_plain` described. The values are not trusted.

    Raises:
        ValueError: it describes none.
    """
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise ValueError(f"no tokenizer of kind {str(kind)[:40]!r}")
    return TOKENIZERS[kind].of_plain(plain)
