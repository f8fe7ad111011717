"""Tokenizers as tokenizer.json, the file of Hugging Face's `tokenizers` library, out and in."""

import json
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.tokens import BPE, Bytes, Characters, Tokenizer
from lightning_gpt.tokens.bpe import ALPHABET

FILE = "tokenizer.json"
LARGEST = 50_000_000  # bytes
EACH_CHARACTER = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
# its token for what is unknown is not among the characters, so the library refuses what it does not know
WORD_LEVEL = {"type": "WordLevel", "unk_token": "<unk>"}


def write(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes tokenizer.json: the same ids for the same text, and the same text again.

    Raises:
        UserError: this kind of tokenizer can't be written.
    """
    (folder / FILE).write_text(json.dumps(described(tokenizer)), encoding="utf-8")


def described(tokenizer: Tokenizer) -> dict[str, Any]:
    """Describes a tokenizer in the library's terms.

    Raises:
        UserError: this kind can't be described so.
    """
    if isinstance(tokenizer, Bytes):
        tokenizer = BPE(ALPHABET, [])  # nothing is merged
    if isinstance(tokenizer, BPE):
        return json.loads(tokenizer.as_json())
    if not isinstance(tokenizer, Characters):
        raise UserError(f"tokenizer.json can't hold {tokenizer.kind}: export a network of characters, bytes or BPE")
    vocabulary = {character: i for i, character in enumerate(tokenizer.characters)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": EACH_CHARACTER,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {**WORD_LEVEL, "vocab": vocabulary},
    }


def read(path: Path) -> Tokenizer:
    """Reads a tokenizer.json; nothing of it is trusted.

    Raises:
        UserError: missing, damaged, or of a kind that is not known.
    """
    plain = read_json(path)
    model = plain["model"] if isinstance(plain.get("model"), dict) else {}
    if "merges" in model:
        return BPE.read(path)
    vocabulary: Any = model.get("vocab")
    # all the rest as we write it: whatever else a description may say would change the ids
    if {**plain, "model": {**model, "vocab": None}} != {
        **described(Characters("a")),
        "model": {**WORD_LEVEL, "vocab": None},
    }:
        kind = str(model.get("type"))[:40]
        raise UserError(
            f"{path} is of a kind that can't be imported ({kind}): byte-level BPE can, and characters as exported"
        )
    try:
        ordered = sorted(vocabulary, key=vocabulary.get)
        if [vocabulary[character] for character in ordered] != list(range(len(ordered))):
            raise ValueError("its ids are not 0, 1, 2 …")
        return Characters.of_plain({"characters": "".join(ordered)})
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is damaged: {str(error)[:120]}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file of bounded size that holds a dictionary.

    Raises:
        UserError: it is none.
    """
    try:
        with open(path, "rb") as file:
            contents = file.read(LARGEST + 1)
        if len(contents) > LARGEST:
            raise ValueError(f"it has more than {LARGEST // 1_000_000} MB")
        plain = json.loads(contents)
    except FileNotFoundError as error:
        raise UserError(f"{path.parent} has no {path.name}") from error
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} can't be read: {str(error)[:120]}") from error
    if not isinstance(plain, dict):
        raise UserError(f"{path} is damaged: it holds no names")
    return plain
