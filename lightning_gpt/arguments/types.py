"""Types of options: which values one takes, how it converts typed text, and its name in plain words."""

import re
import sys
import types
import typing
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Literal, Union

import yaml

NOT_A_VALUE = object()  # what `converted` makes of text that a type does not take
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}
PLURAL = {int: "whole numbers", float: "numbers", str: "texts"}
SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
YAML_FLOATS = {".nan": "nan", ".inf": "inf", "+.inf": "inf", "-.inf": "-inf"}
Sequences = (list, Sequence, Iterable)


class Answer(Enum):
    """A type's answer to a value; UNSURE: only whoever instantiates classes can tell."""

    NO = 0
    UNSURE = 1
    YES = 2


def takes(hint: Any, value: Any) -> Answer:
    """Decides whether an option of this type takes a value, which may be text as it was typed."""
    if isinstance(value, str):
        text = converted(hint, value)
        if text is not NOT_A_VALUE:
            return Answer.YES
    elif hint is type(None) or hint is None:
        return Answer.YES if value is None else Answer.NO
    elif hint is bool:
        return Answer.YES if isinstance(value, bool) else Answer.NO
    elif hint is int or hint is float:
        number = isinstance(value, int if hint is int else (int, float)) and not isinstance(value, bool)
        large = hint is float and isinstance(value, int) and abs(value) > sys.float_info.max
        return Answer.YES if number and not large else Answer.NO
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return max((takes(alternative, value) for alternative in inner), key=lambda answer: answer.value)
    if origin is Literal:
        return Answer.YES if any(value == x and type(value) is type(x) for x in inner) else Answer.NO
    if origin in (list, tuple, *Sequences) and all(is_plain(x) for x in inner):
        values = listed(value)
        if values is None or (origin is tuple and len(values) != len(inner)):
            return Answer.NO
        kinds = inner if origin is tuple else inner * len(values)
        return min(
            (takes(kind, x) for kind, x in zip(kinds, values, strict=True)), key=lambda a: a.value, default=Answer.YES
        )
    return Answer.NO if hint in WORDS else Answer.UNSURE


def converted(hint: Any, text: str) -> Any:
    """Converts typed text to a plain type; NOT_A_VALUE where the type does not take it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if str in inner and set(inner) <= {str, type(None)}:
            return text  # what was typed, be it null
        found = [converted(alternative, text) for alternative in sorted(inner, key=lambda x: x is str)]
        return next((value for value in found if value is not NOT_A_VALUE), NOT_A_VALUE)
    if origin is Literal:
        return next((x for x in inner if str(x) == text), NOT_A_VALUE)
    if hint is str:
        return text
    if hint is type(None):
        return None if text == "null" else NOT_A_VALUE
    if hint is bool:
        return SWITCH.get(text.lower(), NOT_A_VALUE)
    if hint is int:
        return int(text) if re.fullmatch(r"[+-]?\d{1,4000}", text) else NOT_A_VALUE
    if hint is float:
        try:
            return float(YAML_FLOATS.get(text.lower(), text))
        except ValueError:
            return NOT_A_VALUE
    return NOT_A_VALUE


def unfit(option: str, value: Any) -> str | None:
    """Says why a text, or a list of them, can't be an option's value, whatever its type; None if it can.

    Half a character is what a file's name that is not UTF-8 has: a corpus may, and of a prompt the tokenizer says it.
    """
    half = option.rpartition(".")[2] in ("corpus", "prompt")
    for text in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
        if isinstance(text, str) and "\0" in text:
            return "holds a NUL character"
        if not half and isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text):
            return "is not UTF-8: half a character is in it"
    return None


def is_plain(hint: Any) -> bool:
    """Returns whether all values of a type are numbers, texts, switches, null, or lists of them: nothing to import."""
    if hint in WORDS or hint is Ellipsis:
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    return origin is Literal or (
        origin in (Union, types.UnionType, list, tuple, *Sequences) and all(is_plain(x) for x in inner)
    )


def plain_part(hint: Any) -> Any:
    """Returns the plain part of a type, see `is_plain`; None if there is none."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        plain = [alternative for alternative in typing.get_args(hint) if is_plain(alternative)]
        return Union[tuple(plain)] if plain else None  # noqa: UP007  made of a list
    return hint if is_plain(hint) else None


def in_words(hint: Any) -> str:
    """Names a type as a user would."""
    return either(list(dict.fromkeys(_alternatives(hint))))


def _alternatives(hint: Any) -> list[str]:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in WORDS:
        return [WORDS[hint]]
    if origin is Literal:
        return [str(x) for x in inner]
    if origin in (Union, types.UnionType):
        named = [name for alternative in inner for name in _alternatives(alternative)]
        return sorted(named, key=lambda name: name == WORDS[type(None)])  # null comes last
    if origin is tuple:
        return [f"a list of {len(inner)} {PLURAL.get(inner[0], 'values')}"]
    if origin in Sequences and inner and inner[0] in PLURAL:
        example = '["one", "two"]' if inner[0] is str else "[1, 2]"
        return [f"a list of {PLURAL[inner[0]]}, as {example}"]
    if origin in Sequences and inner and typing.get_origin(inner[0]) is tuple:
        return [f"a list of lists{_alternatives(inner[0])[0].removeprefix('a list')}"]
    return ["a class with its init_args"]


def either(names: list[str]) -> str:
    """Joins alternatives: a, b or c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def listed(value: Any) -> list[Any] | None:
    """Returns a list's values, also of a list that was typed, as [1, 2]; None for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            return None
    return list(value) if isinstance(value, list | tuple) else None
