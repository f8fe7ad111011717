"""Reads a corpus as the bytes that it is, text or not. Mends nothing: for tokenizers that read any file."""

import codecs
from collections.abc import Iterator
from itertools import chain

from lightning_gpt.errors import UserError
from lightning_gpt.text.decoded import DecodedText

NO_TEXT = "no text"  # the remark that says so


class RawText(DecodedText):
    """A corpus with every byte of it: line ends and byte order marks stay, and what is no UTF-8 is no fault.

    A byte that is no text comes as a surrogate of its own, see `lightning_gpt.tokens.surrogates`. In a corpus that is
    not UTF-8 throughout each byte counts as a character; else characters are counted, and split, as for any tokenizer.
    """

    def pieces(self) -> Iterator[str]:
        """Yields the text from its beginning, about a mebibyte at a time.

        Raises:
            UserError: no bytes at all.
        """
        strange = NO_TEXT in self.found  # from the first reading, which counts
        decoder = codecs.getincrementaldecoder("ascii" if strange else "utf-8")
        lengths, sizes = [], []
        for number, part in enumerate(self._corpus.parts, start=1):
            utf8, length, size, last = decoder("surrogateescape"), 0, 0, b"\n"
            for chunk in chain(part.chunks(), [b""]):
                self._bar.update(len(chunk))
                text = utf8.decode(chunk, final=not chunk)
                length, size, last = length + len(text), size + len(chunk), chunk[-1:] or last
                strange = strange or not is_utf8(text)
                yield text
            if number < len(self._corpus.parts) and last != b"\n":
                yield "\n"  # a file without one must not run into the next
                length, size = length + 1, size + 1
            lengths.append(length)
            sizes.append(size)
        if not sum(sizes):
            raise UserError(f"the corpus {self._corpus.name} is empty: there is nothing to learn from")
        self.lengths, self.bytes = tuple(sizes if strange else lengths), sum(sizes)
        self.found = {NO_TEXT: 1} if strange else {}


def is_utf8(text: str) -> bool:
    """Tells text from what has surrogates for bytes in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
