"""Reads YAML as data: of bounded size, plain values only. What a file says is never imported, made or called."""

from pathlib import Path
from typing import Any

import yaml

from lightning_gpt.errors import UserError

FILE = "config.yaml"
LARGEST = 1_000_000  # bytes of a configuration
MOST_VALUES = 100_000  # that it may stand for when its aliases are written out


def read_config(path: Path) -> dict[str, Any]:
    """Reads a configuration file.

    Raises:
        UserError: missing, too large, not UTF-8, not YAML, with tags or endless aliases, or no mapping of names.
    """
    try:
        with open(path, "rb") as file:
            contents = file.read(LARGEST + 1)  # not what its size says: a pipe or a device has none
        if len(contents) > LARGEST:
            raise ValueError(f"it has more than {LARGEST // 1_000_000} MB")
        config = _plain(contents.decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise UserError(f"the configuration {path} does not exist") from error
    except OSError as error:
        raise UserError(f"can't read the configuration {path}: {error.strerror or error}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path} can't be read as a configuration{_reason(error)}: mend it, or name another") from error
    if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
        raise UserError(f"{path} is no configuration: it holds no options by name")
    return config


def _plain(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, {}) > MOST_VALUES:
            raise yaml.YAMLError("its aliases stand for too many values")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _values(node: yaml.Node, known: dict[yaml.Node, int | None]) -> int:
    """Counts the values below a node, its aliases written out ("billion laughs" is a page that stands for 10^9)."""
    if node not in known:
        known[node] = None  # until it is counted
        children = [child for pair in node.value for child in (pair if isinstance(pair, tuple) else [pair])]
        inner = children if isinstance(node, yaml.CollectionNode) else []
        known[node] = 1 + sum(_values(child, known) for child in inner)
    count = known[node]
    if count is None:
        raise yaml.YAMLError("an alias stands for itself")
    return count


def _reason(error: Exception) -> str:
    """Says where and what the fault is, as far as the error knows it."""
    if isinstance(error, UnicodeDecodeError):
        return f" (byte {error.start} is not UTF-8)"
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or error
    line = f"line {mark.line + 1}" if mark else ""
    said = ", ".join(part for part in (line, " ".join(str(problem).split())[:80]) if part)
    return f" ({said})" if said else ""
