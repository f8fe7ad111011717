r"""Reads text as a person types it: escapes, and a prompt from a file or standard input. Knows no tokenizer.

One rule for every text that is typed: \n is a line break, \t a tab, \\ a backslash. Any other backslash is itself, so
that \begin can be typed as it is, and \\nu where an escape is not meant.
"""

import re
import sys
from pathlib import Path

from lightning_gpt.errors import UserError

ESCAPES = {"\n": r"\n", "\t": r"\t", "\\": r"\\"}
MEANT = {typed: text for text, typed in ESCAPES.items()}


def unescaped(typed: str) -> str:
    """Replaces escapes by what they stand for."""
    return re.sub(r"\\[nt\\]", lambda found: MEANT[found[0]], typed)


def escaped(text: str) -> str:
    """Writes a text as it would be typed."""
    return re.sub(r"[\n\t\\]", lambda found: ESCAPES[found[0]], text)


def read_prompt(typed: str) -> str:
    r"""Reads a prompt: as it was typed, from standard input (-) or from a file (@path), its escapes left alone.

    A byte order mark is left out and every line end is made a newline, as in a corpus. A prompt that begins with @ or -
    itself is typed with a backslash before it.

    Raises:
        UserError: no such file, or not UTF-8.
    """
    try:
        if typed == "-":
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        elif typed.startswith("@"):
            text = Path(typed[1:]).read_bytes().decode("utf-8-sig")
        else:
            text = unescaped(typed[1:] if typed.startswith((r"\@", r"\-")) else typed)
    except OSError as error:
        raise UserError(
            f"can't read the prompt {typed}: {error.strerror or error}; a prompt that begins with @ itself is typed "
            f"'\\{escaped(typed)}'"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"the prompt is not UTF-8 text: byte {error.start} can't be read") from error
    return re.sub("\r\n?", "\n", text)


def typed_prompt(text: str) -> str:
    """Writes a prompt as it would be typed, see `read_prompt`."""
    return "\\" * text.startswith(("@", "-")) + escaped(text)
