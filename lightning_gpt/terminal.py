"""Formats lines for a terminal: in colour where it is wanted, no wider than the window. Plain text elsewhere."""

import os
import shutil
import sys
import textwrap
from typing import TextIO

CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}
HEAD = 9  # columns of a row's head


def styled(text: str, *styles: str, stream: TextIO | None = None) -> str:
    """Styles the text, if the stream (standard output) is a terminal and NO_COLOR is not set."""
    stream = stream or sys.stdout
    if not styles or not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    codes = ";".join(str(CODES[style]) for style in styles)
    return f"\033[{codes}m{text}\033[0m"


def visible(text: str) -> str:
    """Replaces control characters, which could make a terminal do things, by a mark; a line break stays."""
    return "".join(c if c.isprintable() or c == "\n" else "□" for c in text)


def row(head: str, text: str, *styles: str) -> str:
    """Formats a row of a card, wrapped to the window if there is one; its head, or all of it, in these styles."""
    width = shutil.get_terminal_size((0, 0)).columns  # a pipe has none
    lines = textwrap.wrap(text, max(width - HEAD, 20), break_long_words=False) if width else [text]
    body = f"\n{'':{HEAD}}".join(styled(line, *styles) for line in lines)
    return styled(f"{head:{HEAD}}", "bold", *styles) + body
