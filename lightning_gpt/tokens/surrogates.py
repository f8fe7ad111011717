"""Lone surrogates, the only code points of a string that UTF-8 can't spell. Knows no tokenizer.

Python decodes bytes that are no UTF-8 to U+DC80 to U+DCFF, one each, and encodes these to the same bytes again: "PEP
383", Martin von Löwis 2009, errors="surrogateescape".
"""

import re

from lightning_gpt.errors import UserError

LONE = re.compile("[\ud800-\udfff]")
NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # but for those that stand for a byte


def mended(text: str, unknown: str, lone: re.Pattern[str]) -> str:
    """Returns the text without the code points that `lone` matches; `unknown` says what becomes of them.

    Args:
        text: any string.
        unknown: see `Tokenizer.encode`.
        lone: what can't be spelled.

    Raises:
        UserError: there is one, and `unknown` is "error" or no character.
    """
    found = lone.search(text)
    if found is None:
        return text
    if unknown == "skip" or (len(unknown) == 1 and not LONE.match(unknown)):
        return lone.sub(lambda _: "" if unknown == "skip" else unknown, text)
    if unknown != "error":
        raise UserError(f"unknown={unknown!r} is neither 'error', 'skip' nor a character")
    raise UserError(
        f"character {found[0]!r} (U+{ord(found[0]):04X}) at position {found.start()} is half of a pair, which no text "
        "has by itself; leave it out, or pass unknown='skip' (--unknown skip)"
    )
