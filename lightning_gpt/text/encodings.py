"""Names the encoding of bytes that are no UTF-8: by marks, by NULs, or as charset-normalizer finds it. Decodes nothing.

The names are Python's own, so that each can be given to `--data.encoding`.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lightning_gpt.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

HEAD = 4096  # bytes in which marks and NULs are looked for
SAMPLE = 1 << 16  # bytes that a detector is given at most
ENOUGH = 64  # bytes that could be UTF-16 by accident no more
MOST_NAMED = 3

# what people's texts are in, and in words; the first of several that would read a text alike is named
USUAL = {
    "cp1252": "Windows, Western Europe",
    "cp1250": "Windows, Central Europe",
    "iso8859_2": "Latin-2, Central Europe",
    "cp1251": "Windows, Cyrillic",
    "koi8_r": "Russian",
    "koi8_u": "Ukrainian",
    "cp1253": "Windows, Greek",
    "cp1254": "Windows, Turkish",
    "cp1255": "Windows, Hebrew",
    "cp1256": "Windows, Arabic",
    "cp874": "Windows, Thai",
    "gb18030": "Chinese",
    "big5": "Chinese, traditional",
    "shift_jis": "Japanese",
    "cp932": "Windows, Japanese",
    "euc_jp": "Japanese",
    "cp949": "Korean",
}
RARE = {
    "cp866": "DOS, Cyrillic",
    "iso8859_5": "ISO, Cyrillic",
    "mac_cyrillic": "old Mac, Cyrillic",
    "cp1257": "Windows, Baltic",
    "cp1258": "Windows, Vietnamese",
    "johab": "Korean",
    "cp437": "DOS",
    "cp850": "DOS, Western Europe",
    "cp852": "DOS, Central Europe",
    "mac_roman": "old Mac, Western Europe",
    "cp037": "IBM mainframe",
}
NOT_OF_FILES = ("idna", "punycode", "undefined")
BY_MARK = {  # the longer marks first
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
ESCAPES = {"iso2022_jp": rb"\x1b\$[@B]", "iso2022_kr": rb"\x1b\$\)C"}  # their bytes are ASCII


def checked_encoding(name: str | None) -> str | None:
    """Returns Python's own name of an encoding; None for UTF-8, which is read with a byte order mark or without.

    Raises:
        UserError: Python knows none of this name, or one that is for no text.
    """
    if name is None:
        return None
    try:
        b" ".decode(name)
    except UnicodeDecodeError:
        pass  # one that a single byte is too little for
    except (LookupError, ValueError) as error:
        raise _unknown(name) from error
    found = codecs.lookup(name).name
    if found in NOT_OF_FILES:
        raise _unknown(name)
    return None if found in ("utf-8", "utf-8-sig") else found


def _unknown(name: str) -> UserError:
    remedy = did_you_mean(name, [*USUAL, *RARE], "there are cp1252, utf-16, gb18030 and many more")
    return UserError(f"data.encoding: Python knows no encoding of text files {name[:40]!r}; {remedy}")


def marked_encoding(head: bytes) -> str | None:
    """Names the encoding that a text's first HEAD bytes show beyond doubt, though they may pass as UTF-8; None: none.

    A mark, the escapes of ISO 2022, or the zeros of UTF-16 and UTF-32 without a mark: of any script whose upper bytes
    are control characters, as 00 of Latin letters and 04 of Cyrillic ones.
    """
    for mark, name in BY_MARK.items():
        if head.startswith(mark):
            return name
    for name, escape in ESCAPES.items():
        if re.search(escape, head):
            return name
    data = np.frombuffer(head[: len(head) // 4 * 4], dtype=np.uint8)
    if len(data) < 8:
        return None
    control = (data < 32) & ~np.isin(data, [9, 10, 12, 13])
    zeros, upper = (data == 0).reshape(-1, 4).mean(axis=0), control.reshape(-1, 2).mean(axis=0)
    if zeros[2:].min() > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if zeros[:2].min() > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    if upper[1] > 0.7 and upper[0] < 0.1:
        return "utf-16-le"
    if upper[0] > 0.7 and upper[1] < 0.1:
        return "utf-16-be"
    return None


def likely_encodings(sample: bytes) -> list[str]:
    """Names the encodings that bytes are likely to be in, the likeliest first, MOST_NAMED at most; empty: unknown.

    Several are named where they can't be told apart. charset-normalizer measures how odd the text looks and how much
    its letters are those of a language; what few people have must look better than what many have.
    """
    from charset_normalizer import from_bytes

    def matches(data: bytes, names: Sequence[str], oddest: float) -> Iterable["CharsetMatch"]:
        return from_bytes(
            data, steps=10, chunk_size=1024, threshold=oddest, cp_isolation=list(names), enable_fallback=False
        )

    sample = sample[:SAMPLE]
    lines = b"".join(line for line in sample.splitlines(keepends=True) if not line.isascii())
    if not lines:
        return []
    if len(sample) >= ENOUGH and (wide := [m.encoding for m in matches(sample, ("utf_16_le", "utf_16_be"), 0.2)]):
        return wide
    names = [*USUAL, *RARE]
    scores: dict[str, float] = {}
    for match in matches(lines, names, 0.3):
        alike = {match.encoding, *match.could_be_from_charset}
        name = next(name for name in names if name in alike)
        score = match.chaos - match.coherence / 2 + oddness(str(match)) + (0.06 if name in RARE else 0.0)
        scores[name] = min(round(score, 2), scores.get(name, score))
    best = min(scores.values(), default=0.0)
    near = [name for name in names if name in scores and scores[name] < best + 0.04]
    return sorted(near, key=scores.__getitem__)[:MOST_NAMED]


def oddness(text: str) -> float:
    """Computes how much does not belong where it stands: the share of characters next to small Latin letters, 0 to 1.

    In the wrong code page an accented letter becomes a sign in the middle of a word, or a letter of another script.
    """
    beside = re.findall(r"(?<=[a-z])([^\x00-\x7f])(?=([a-z])?)", text)
    odd = [
        inside
        for character, inside in beside
        if character not in "’—–…"
        and not (character.islower() and unicodedata.name(character, "").startswith("LATIN"))
        and (inside or unicodedata.category(character)[0] not in "PZ")
    ]
    return len(odd) / max(len(beside), 1)


def is_damaged_utf8(sample: bytes) -> bool:
    """Tells UTF-8 with a few damaged bytes from another encoding: most of what is not ASCII is whole characters."""
    text = sample.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return sum(not c.isascii() for c in text) - bad > 3 * bad


def is_utf8(sample: bytes) -> bool:
    """Tells whether bytes are UTF-8, but for a character that may be cut at either end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample.lstrip(bytes(range(0x80, 0xC0))))
    except UnicodeDecodeError:
        return False
    return True


def described(name: str) -> str:
    """Names an encoding with what it is for."""
    said = {**USUAL, **RARE}.get(name)
    return f"{name} ({said})" if said else name
