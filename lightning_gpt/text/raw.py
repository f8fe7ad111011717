"""Reads a corpus as the bytes that it is, text or not. Mends nothing: for tokenizers that read any file."""

import codecs
from collections.abc import Iterator
from itertools import chain

from lightning_gpt.errors import UserError
from lightning_gpt.text.decoded import DecodedText

NO_TEXT = "no text"  # the remark that says so


class RawText(DecodedText):
    """A corpus with every byte of it: line ends and byte order marks stay, and what is no UTF-8 is no fault.

    A byte that is no text comes as a surrogate of its own, see `lightning_gpt.tokens.surrogates`. In a file that is not
    UTF-8 throughout each byte counts as a character; else characters are counted, and split, as for any tokenizer.
    """

    def pieces(self) -> Iterator[str]:
        """Yields the text from its beginning, about a mebibyte at a time.

        Raises:
            UserError: no bytes at all.
        """
        known = NO_TEXT in self.remarks  # from the first reading, which counts
        utf8 = codecs.getincrementaldecoder("ascii" if known else "utf-8")("surrogateescape")
        characters, size, strange = 0, 0, known
        for chunk in chain(self._corpus.chunks(), [b""]):
            self._bar.update(len(chunk))
            text = utf8.decode(chunk, final=not chunk)
            characters, size, strange = characters + len(text), size + len(chunk), strange or not is_utf8(text)
            yield text
        if size == 0:
            raise UserError(f"the corpus {self._corpus.name} is empty: there is nothing to learn from")
        self.characters, self.bytes = size if strange else characters, size
        self.remarks = (NO_TEXT,) if strange else ()


def is_utf8(text: str) -> bool:
    """Tells text from what has surrogates for bytes in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
