"""The table of tokenizers, by the names that configurations and checkpoints use."""

import difflib
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.tokens.characters import Characters
from lightning_gpt.tokens.tokenizer import Tokenizer

TOKENIZERS: dict[str, type[Tokenizer]] = {"characters": Characters}


def tokenizer_class(name: str) -> type[Tokenizer]:
    """Looks up a tokenizer by its name.

    Raises:
        UserError: there is none.
    """
    if name not in TOKENIZERS:
        near = difflib.get_close_matches(name, TOKENIZERS, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(TOKENIZERS)}"
        raise UserError(f"no tokenizer {name!r}; {remedy}")
    return TOKENIZERS[name]


def of_plain(plain: Any) -> Tokenizer:
    """Makes the tokenizer that `Tokenizer.as_plain` described. What it is given is not trusted.

    Raises:
        ValueError: it describes none.
    """
    kind = plain.get("kind") if isinstance(plain, dict) else None
    if not isinstance(kind, str) or kind not in TOKENIZERS:
        raise ValueError(f"no tokenizer of kind {str(kind)[:40]!r}")
    return TOKENIZERS[kind].of_plain(plain)
