"""Reads and writes a corpus that is ids already: a folder of two tensors, `train.pt` and `val.pt`, split between them.

Corpora are kept so as artifacts, of W&B and elsewhere. `tokens.json` beside them says what the ids stand for; where
there is none, they are taken for Tiny Shakespeare's characters in sorted order, as in the lecture.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError, in_a_line
from lightning_gpt.files import must_not_swell, replacing
from lightning_gpt.text.units import Length
from lightning_gpt.tokens import Characters, Tokenizer, of_plain

TRAIN, VAL, TOKENS = "train.pt", "val.pt", "tokens.json"
SHAKESPEARES = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHUNK = 1 << 20  # ids
LONGEST = 2**26  # bytes of a tokenizer's file


@dataclass(frozen=True)
class TensorText:
    """A text that is given as ids.

    Attributes:
        parts: ids (n,) to train on and ids (n,) to hold out.
        tokenizer: what they stand for.
        remarks: what was taken for granted.
    """

    parts: tuple[Tensor, Tensor]
    tokenizer: Tokenizer
    remarks: tuple[str, ...]

    def chunks(self) -> Iterator[bytes]:
        """Yields the text's UTF-8 bytes, training text first."""
        spelled = [self.tokenizer.token_bytes(token) for token in range(len(self.tokenizer))]
        for part in self.parts:
            for ids in torch.split(part, CHUNK):
                yield b"".join([spelled[token] for token in ids.tolist()])

    def lengths(self) -> tuple[Length, Length]:
        """Computes the lengths of the training text and of what is held out."""
        train, val = (Length.of(part.numpy(), self.tokenizer.token_lengths) for part in self.parts)
        return train, val


def are_tensors(folder: Path) -> bool:
    """Tells whether a folder holds such a corpus."""
    with suppress(OSError, ValueError):  # too long a name for a path, or a NUL in it: it names something else
        return all((folder / name).is_file() for name in (TRAIN, VAL))
    return False


def read_tensors(folder: Path) -> TensorText:
    """Reads such a folder; its files are not trusted.

    Raises:
        UserError: a file is damaged, or holds anything else.
    """
    path, remarks = folder / TOKENS, []
    if path.is_file():
        tokenizer = _tokenizer(path)
    else:
        tokenizer = Characters(SHAKESPEARES)
        remarks.append(f"no {TOKENS} beside the ids: they are taken for the characters of Tiny Shakespeare")
    train, val = (_ids(folder / name, len(tokenizer)) for name in (TRAIN, VAL))
    return TensorText((train, val), tokenizer, tuple(remarks))


def write_tensors(folder: Path, train: np.ndarray, val: np.ndarray, tokenizer: Tokenizer) -> None:
    """Writes such a folder of ids (n,) to train on and ids (n,) to hold out, each file whole or not at all.

    Raises:
        OSError: no right to write, no room.
    """
    for name, ids in ((TRAIN, train), (VAL, val)):
        with replacing(folder / name) as file:
            torch.save(torch.from_numpy(ids.astype(np.uint8 if len(tokenizer) <= 256 else np.int32)), file)
    with replacing(folder / TOKENS) as file:
        file.write(json.dumps(tokenizer.as_plain()).encode())


def _tokenizer(path: Path) -> Tokenizer:
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError("it is too long")
        return of_plain(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} describes no tokenizer of this project ({type(error).__name__})") from error


def _ids(path: Path, size: int) -> Tensor:
    """Reads ids (n,) below `size`, at least one."""
    try:
        must_not_swell(path)
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a broken file can raise anything
        raise UserError(f"{path} can't be read as a tensor ({in_a_line(error)})") from error
    if not isinstance(found, Tensor) or found.layout is not torch.strided or found.is_meta or found.ndim != 1:
        raise UserError(f"{path} is no tensor of ids: there must be one, of one dimension")
    whole = found.dtype in (torch.uint8, torch.int16, torch.int32, torch.int64)
    if not whole or not found.is_contiguous() or not len(found):
        raise UserError(f"{path} is no tensor of ids: they are whole numbers, one after another, and at least one")
    least, most = int(found.min()), int(found.max())
    if least < 0 or most >= size:
        raise UserError(f"{path} has ids from {least:,} to {most:,}, and its tokenizer has {size:,} tokens")
    return found
