"""A tokenizer.json of others, which is not trusted: byte-level BPE is taken out of it, all else is refused by its name.

The file is that of Hugging Face's library `tokenizers`, which is not needed here.
"""

import json
from typing import Any

MOST = 2**18  # tokens; those of any published network are fewer
MOST_READ = 2**26  # bytes of a tokenizer.json; GPT-2's has 1.3 million


def taken_apart(text: str) -> tuple[list[str], list[Any], list[str]]:
    """Takes a tokenizer.json's text apart: tokens by their ids, merges, special tokens, as `BPE` takes and checks them.

    Raises:
        ValueError: it is none, or not byte-level BPE, or one that would change a text.
    """
    try:
        plain = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(plain, dict) or not isinstance(model := plain.get("model"), dict):
        raise ValueError("it has no model")
    _must_be_byte_level(plain, model)
    places, merges = model.get("vocab"), model.get("merges")
    if not isinstance(places, dict) or not isinstance(merges, list) or len(places) > MOST:
        raise ValueError("its vocabulary or its merges are missing")
    special = _added(plain.get("added_tokens") or [], places)
    if not all(type(place) is int for place in places.values()) or sorted(places.values()) != [*range(len(places))]:
        raise ValueError(f"its ids are not those from 0 to {len(places) - 1}")
    rules = [" ".join(map(str, merge)) if isinstance(merge, list) else merge for merge in merges]
    return sorted(places, key=places.__getitem__), rules, special


def _must_be_byte_level(plain: dict[str, Any], model: dict[str, Any]) -> None:
    """Checks the parts of a tokenizer.json: byte-level BPE that gives every text back.

    Raises:
        ValueError: another kind of tokenizer, by its name.
    """
    kind = model.get("type", "BPE" if "merges" in model else None)  # old files do not say BPE
    if kind != "BPE":
        raise ValueError(f"it is {_named(kind)}, not byte-level BPE")
    if (normalizer := plain.get("normalizer")) is not None:
        raise ValueError(f"its normalizer {_named(normalizer)} changes texts")
    words = plain.get("pre_tokenizer")
    if not isinstance(words, dict) or words.get("type") != "ByteLevel":
        raise ValueError(f"it splits texts by {_named(words)}, not by ByteLevel alone, as GPT-2's does")
    if words.get("add_prefix_space") is not False:
        raise ValueError("it puts a blank before a text (add_prefix_space)")
    if words.get("use_regex", True) is not True:
        raise ValueError("it does not split texts into words (use_regex false)")
    for part in ("post_processor", "decoder"):
        chosen = plain.get(part)
        if chosen is not None and not _adds_nothing(chosen):
            raise ValueError(f"its {part} {_named(chosen)} adds to texts")
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(option):
            raise ValueError(f"its {option} is not null")


def _adds_nothing(part: Any) -> bool:
    """Returns whether a part of a tokenizer.json leaves a text as it is; transformers writes an empty template."""
    if not isinstance(part, dict):
        return False
    return part.get("type") == "ByteLevel" or (
        part.get("type") == "TemplateProcessing"
        and part.get("special_tokens") == {}
        and part.get("single") == [{"Sequence": {"id": "A", "type_id": 0}}]
    )


def _added(tokens: Any, places: dict[str, Any]) -> list[str]:
    """Returns the texts of a tokenizer.json's added tokens, and gives those that the vocabulary lacks their places.

    Raises:
        ValueError: one that takes blanks around it along, or is no token.
    """
    if not isinstance(tokens, list) or len(tokens) > MOST:
        raise ValueError("its added tokens are no list")
    found = []
    for token in tokens:
        if not isinstance(token, dict) or not isinstance(text := token.get("content"), str):
            raise ValueError("one of its added tokens has no text")
        if any(token.get(flag) for flag in ("lstrip", "rstrip", "single_word")):
            raise ValueError(f"its added token {text[:40]!r} has lstrip, rstrip or single_word")
        if places.setdefault(text, token.get("id")) != token.get("id"):
            raise ValueError(f"its added token {text[:40]!r} has another id in its vocabulary")
        found.append(text)
    return found


def _named(part: Any) -> str:
    """Names a part of a tokenizer.json, which may be anything."""
    kind = part.get("type") if isinstance(part, dict) else part
    return kind[:40] if isinstance(kind, str) else "none" if kind is None else "something unknown"
