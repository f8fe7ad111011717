"""Byte-level BPE as tokens: bytes, and what occurs together often enough to be one. Learned, or read from a file.

"Neural Machine Translation of Rare Words with Subword Units", Sennrich et al. 2016; over bytes, with the split into
words, as in GPT-2, Radford et al. 2019. The library `tokenizers` learns and applies the merges; it is needed for that
only, and is given nothing that has not been checked here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.tokens.foreign import MOST, MOST_READ, taken_apart
from lightning_gpt.tokens.surrogates import LONE, mended
from lightning_gpt.tokens.tokenizer import Pieces, Tokenizer, as_list

if TYPE_CHECKING:
    import tokenizers

SIZE = 512  # tokens, if nobody says how many: two bytes each in English text
# characters of the training text that merges are counted in, evenly spread over a longer one: so many for each token,
LEARNED = 2**13
MOST_LEARNED = 2**25  # and so many at most, which takes half a minute
MOST_REMEMBERED = 2**27  # bytes, about, of words whose ids are kept

# what GPT-2's pattern of words takes for blank: Unicode's White_Space
BLANK = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
LONGEST = 2**16  # characters of blanks, or of anything else, in a row; after them comes a border, so memory is bounded
STRETCH = re.compile(rf"[{BLANK}]{{0,{LONGEST}}}[^{BLANK}]{{1,{LONGEST}}}|[{BLANK}]{{1,{LONGEST}}}")
CROSSED = re.compile(rf"[^{BLANK}][{BLANK}]")


def _alphabet() -> str:
    """Makes GPT-2's characters for the 256 bytes: themselves where they can be seen, else from U+0100 on."""
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    beyond = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in seen else next(beyond)) for byte in range(256))


ALPHABET = _alphabet()
BYTES = {character: byte for byte, character in enumerate(ALPHABET)}


class BPE(Tokenizer):
    """Tokens of one byte or more, inside words, and rules by which two of them become one, the most frequent first.

    Args:
        tokens: by their ids; written in ALPHABET, as a tokenizer.json has them.
        merges: the rules, "a b" for the tokens a and b that become ab.
        special: those of the tokens that stand for their own text and are made by no merge, such as <|endoftext|>.

    Raises:
        ValueError: they do not go together.
    """

    kind = "bpe"

    def __init__(self, tokens: Sequence[str], merges: Sequence[str], special: Sequence[str] = ()) -> None:
        self.tokens, self.merges, self.special = list(tokens), list(merges), sorted(special)
        _must_go_together(self.tokens, self.merges, self.special)
        own = set(self.special)
        self._bytes = [
            token.encode() if token in own else bytes(map(BYTES.__getitem__, token)) for token in self.tokens
        ]
        self._dtype = np.min_scalar_type(len(self.tokens) - 1)
        self._remembered: dict[str, bytes] = {}  # stretches, and their ids
        self._size_remembered = 0

    # ------------------------------------------------------------------------------------------- how one is made

    @classmethod
    def chosen_size(cls, vocab_size: int | None) -> int:
        """Returns how many tokens there shall be; see `Tokenizer.chosen_size`."""
        size = SIZE if vocab_size is None else vocab_size
        if not 256 < size <= MOST:
            raise UserError(
                f"data.vocab_size of bpe must be from 257 to {MOST:,}, not {size:,}: the 256 bytes, and what is merged"
            )
        return size

    @classmethod
    def learn(cls, text: Pieces, vocab_size: int | None) -> "BPE":
        """Merges what is most frequent, until there are `vocab_size` tokens or nothing occurs twice; see `Tokenizer`.

        Of a text of more than LEARNED characters for each token every so manyth piece is looked at.
        """
        size = cls.chosen_size(vocab_size)
        library = _library()
        learner = library.Tokenizer(library.models.BPE())
        learner.pre_tokenizer = _words(library)
        trainer = library.trainers.BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            initial_alphabet=list(ALPHABET),
            show_progress=False,
        )
        every = max(1, -(-sum(map(len, text())) // min(size * LEARNED, MOST_LEARNED)))
        chosen = (piece for number, piece in enumerate(text()) if number % every == 0)
        learner.train_from_iterator(map("".join, _parts(chosen)), trainer)
        return cls.of_json(learner.to_str())

    @classmethod
    def read(cls, path: Path) -> "BPE":
        """Reads a tokenizer.json.

        Raises:
            UserError: there is none, it is damaged, or a tokenizer of another kind.
        """
        try:
            if path.stat().st_size > MOST_READ:
                raise UserError(f"{path} has {path.stat().st_size:,} bytes: that is no tokenizer")
            return cls.of_json(path.read_bytes().decode())
        except OSError as error:
            raise UserError(f"can't read the tokenizer {path}: {error.strerror or error}") from error
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            said = " ".join(str(error).split())[:200]
            raise UserError(f"{path} is no tokenizer that can be used here: {said}") from error

    @classmethod
    def of_json(cls, text: str) -> "BPE":
        """Makes the tokenizer of a tokenizer.json's text, which is not trusted.

        Raises:
            ValueError: it is none, or not byte-level BPE, or one that would change a text.
        """
        return cls(*taken_apart(text))

    def as_json(self) -> str:
        """Writes it as a tokenizer.json, which the library `tokenizers` and all that use it can read."""
        return self._merger.to_str()

    def as_plain(self) -> dict[str, Any]:
        """Describes the tokenizer by its tokens, in the order of their ids, and its merges."""
        return {"kind": self.kind, "tokens": self.tokens, "merges": self.merges, "special": self.special}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "BPE":
        """See `Tokenizer.of_plain`."""
        tokens, merges, special = (plain.get(name) for name in ("tokens", "merges", "special"))
        if not isinstance(tokens, list) or not isinstance(merges, list) or not isinstance(special, list):
            raise ValueError("its tokens or its merges are no lists")
        return cls(tokens, merges, special)

    # -------------------------------------------------------------------------------------------- what it can do

    def __len__(self) -> int:
        return len(self.tokens)

    def token_bytes(self, token: int) -> bytes:
        """Returns the bytes that were merged; of a special token those of its text."""
        return self._bytes[token]

    def encode(self, text: str, unknown: str = "error") -> Tensor:
        """Encodes a text as ids (N,), int64; see `Tokenizer.encode`. Nothing but half surrogate pairs is unknown."""
        ids = list(self.encode_pieces([mended(text, unknown, LONE)]))
        return torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *ids], dtype=np.int64))

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """Encodes a long text, whatever its pieces are; see `Tokenizer.encode_pieces`.

        Most stretches of a text occur again and again, and are looked up: some ten times as fast.
        """
        for stretches in _stretches(pieces):
            if new := list(set(stretches).difference(self._remembered)):
                found = self._merger.encode_batch_fast(new, add_special_tokens=False)
                ids = (np.array(encoding.ids, dtype=self._dtype).tobytes() for encoding in found)
                self._remembered.update(zip(new, ids, strict=True))
                self._size_remembered += sum(map(len, new)) + 200 * len(new)
            yield np.frombuffer(b"".join(map(self._remembered.__getitem__, stretches)), dtype=self._dtype)
            if self._size_remembered > MOST_REMEMBERED:
                self._remembered, self._size_remembered = {}, 0

    def decode(self, ids: Iterable[int] | Tensor | np.ndarray) -> str:
        """Decodes ids (N,) to text; bytes that are no whole character become U+FFFD."""
        return b"".join(map(self._bytes.__getitem__, as_list(ids))).decode("utf-8", "replace")

    def rules_by_id(self) -> dict[str, Any]:
        """Describes how it encodes in ids: "merges", of two tokens and what they become, in order; "special" tokens."""
        places = {token: place for place, token in enumerate(self.tokens)}
        pairs = (merge.split(" ") for merge in self.merges)
        merges = [[places[a], places[b], places[a + b]] for a, b in pairs]
        return {"merges": merges, "special": [places[token] for token in self.special]}

    @cached_property
    def _merger(self) -> "tokenizers.Tokenizer":
        """The library's own object, which applies the merges."""
        library = _library()
        places = {token: place for place, token in enumerate(self.tokens)}
        merges = [(a, b) for a, _, b in (merge.partition(" ") for merge in self.merges)]
        merger = library.Tokenizer(library.models.BPE(vocab=places, merges=merges))
        merger.pre_tokenizer = _words(library)
        merger.decoder = library.decoders.ByteLevel()
        merger.add_special_tokens(sorted(self.special, key=places.__getitem__))
        return merger


# ------------------------------------------------------------------------------------------------------ how text is cut


def _stretches(pieces: Iterable[str]) -> Iterator[list[str]]:
    """Cuts a text into stretches that can be encoded one by one, the same whatever its pieces are.

    A stretch is blanks and what follows them up to the next blank: no token has a blank after something else, and the
    words before such a border do not depend on what comes after it, so the ids are those of the whole text.
    """
    rest = ""
    for piece in pieces:
        *whole, rest = STRETCH.findall(rest + piece) or [""]  # the last may go on in the next piece
        yield whole
    yield [rest] if rest else []


def _parts(pieces: Iterable[str]) -> Iterator[list[str]]:
    """Yields stretches, some thousands at a time: the library reads 256 texts ahead."""
    for stretches in _stretches(pieces):
        for start in range(0, len(stretches), 4096):
            yield stretches[start : start + 4096]


# ------------------------------------------------------------------------------------------------------ the library


def _library() -> Any:
    """Imports the library.

    Raises:
        UserError: it is not installed.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise UserError(
            "tokens by bpe need the package tokenizers, which is not installed: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[bpe]'"
        ) from error
    return tokenizers


def _words(library: Any) -> Any:
    """GPT-2's split into words, each with the blank before it: no merge reaches over their borders."""
    return library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


# ---------------------------------------------------------------------------------------------------- what is refused


def _must_go_together(tokens: list[Any], merges: list[Any], special: list[Any]) -> None:
    """Checks tokens and merges, which are not trusted.

    Raises:
        ValueError: they are not those of a byte-level BPE.
    """
    if len(tokens) > MOST or len(merges) > MOST or not all(isinstance(x, str) for x in chain(tokens, merges, special)):
        raise ValueError("its tokens are no texts, or too many")
    if sum(map(len, tokens)) > MOST_READ:
        raise ValueError("its tokens are too long")
    own = set(special)
    known = set(tokens)
    if len(known) != len(tokens) or len(own) != len(special) or len(set(merges)) != len(merges) or not own <= known:
        raise ValueError("it has something twice")
    for token in special:
        if not token or LONE.search(token) or CROSSED.search(token):
            raise ValueError(f"its special token {token[:40]!r} is no word")
    spelled = known - own
    if "" in spelled:
        raise ValueError("it has an empty token")
    if strange := next((token for token in spelled if not BYTES.keys() >= set(token)), None):
        raise ValueError(f"its token {strange[:40]!r} is not written in the alphabet of byte-level BPE")
    if missing := BYTES.keys() - spelled:
        raise ValueError(f"it can't spell {len(missing)} of the 256 bytes, so not every text")
    for merge in merges:
        a, blank, b = merge.partition(" ")
        if not blank or not {a, b, a + b} <= spelled:
            raise ValueError(f"its merge {merge[:40]!r} is not of its tokens")
