"""Chooses a line of a text for pictures of attention."""

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.text.prepared import Tokens
from lightning_gpt.tokens import Tokenizer

LOOKED_THROUGH = 2000  # tokens


def held_out_line(tokens: Tokens, size: int) -> Tensor:
    """Finds the held-out text's first example, or its first line of `size` characters: `size` ids at most, int64."""
    if (examples := tokens.val_examples) is not None:
        example = tokens.ids[examples.starts[0] : examples.ends[0]]
        return torch.from_numpy(example[:size].astype(np.int64))
    return interesting_line(tokens.val_ids, tokens.tokenizer, size)


def interesting_line(ids: np.ndarray, tokenizer: Tokenizer, size: int) -> Tensor:
    """Finds the first line of ids (N,) of `size` characters or more, else the beginning: `size` ids at most, int64."""
    beginning = ids[:LOOKED_THROUGH]
    for line in tokenizer.decode(beginning).split("\n")[:-1]:  # the last may be cut in the middle of a character
        if len(line) >= size:
            return tokenizer.encode(line, "skip")[:size]
    return torch.from_numpy(beginning[:size].astype(np.int64))
