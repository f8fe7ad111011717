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
    """Finds the first line of ids (N,) of `size` tokens or more, else the beginning: `size` ids at most, int64."""
    beginning = ids[:LOOKED_THROUGH].astype(np.int64)
    ends = [i for i, token in enumerate(beginning.tolist()) if tokenizer.token_bytes(token).endswith(b"\n")]
    starts = [0, *(end + 1 for end in ends)]
    start = next((start for start, end in zip(starts, ends, strict=False) if end - start >= size), 0)
    return torch.from_numpy(beginning[start : start + size])
