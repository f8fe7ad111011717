"""A corpus prepared once: a file of ids as small as the tokenizer allows, memory-mapped ever after, and split.

Prepared files are a cache: whatever does not look as it was written is made anew.
"""

import json
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.text.corpus import CHUNK, Corpus
from lightning_gpt.text.decoded import REMARKS, DecodedText
from lightning_gpt.text.mapped import map_ids
from lightning_gpt.text.raw import NO_TEXT, RawText
from lightning_gpt.text.units import Length
from lightning_gpt.tokens import Recipe, Tokenizer, of_plain, tokenizer_recipe

if TYPE_CHECKING:
    from tqdm import tqdm

FORMAT = 2  # raised when the files' meaning changes, so that old ones are made anew
DTYPES = ("uint8", "uint16", "uint32")
LONGEST_CARD = 2**26  # bytes; all of Unicode takes 13 million


@dataclass(frozen=True, eq=False)
class Tokens:
    """A prepared corpus: its ids, split into training and held-out text, and their tokenizer.

    Attributes:
        ids: (N,), uint8, uint16 or uint32: the prepared file, mapped and read-only.
        n_train: how many of them, from the first on, are trained on. The split is at the same character for every
            tokenizer, so that losses on the held-out text compare.
        tokenizer: what the ids stand for.
        corpus: the text's name.
        sha256: fingerprint of the text's bytes.
        length: of the whole text, as it was read.
        remarks: what was done to the text on its way ("\\r\\n" to "\\n", a byte order mark left out).
        train_fraction: the first part of its characters, which is trained on.
        path: of the prepared file.
        is_text: whether it is UTF-8; else, which only a tokenizer that reads any file allows, each byte is a character.
    """

    ids: np.ndarray
    n_train: int
    tokenizer: Tokenizer
    corpus: str
    sha256: str
    length: Length
    remarks: tuple[str, ...]
    train_fraction: float
    path: Path
    is_text: bool = True

    @property
    def train_ids(self) -> np.ndarray:
        """The training split, (n_train,)."""
        return self.ids[: self.n_train]

    @property
    def val_ids(self) -> np.ndarray:
        """The held-out split, (N - n_train,)."""
        return self.ids[self.n_train :]

    @property
    def token_lengths(self) -> np.ndarray:
        """(V, 2), int64: how many characters and how many bytes of this text each token is."""
        lengths = self.tokenizer.token_lengths
        return lengths if self.is_text else lengths[:, [1, 1]]

    @cached_property
    def held_out(self) -> Length:
        """The length of the held-out targets: of all its tokens but the first, which is only read."""
        return Length.of(self.val_ids[1:], self.token_lengths)

    def __str__(self) -> str:
        unit = self.tokenizer.unit
        tokens = "" if self.tokenizer.per_character else f"{self.length.tokens:,} {unit}s, "
        return f"{self.corpus}: {self.length.characters:,} characters, {tokens}{len(self.tokenizer):,} distinct"


def prepare(
    corpus: Corpus,
    folder: str | Path,
    train_fraction: float = 0.9,
    tokenizer: str | Tokenizer = "characters",
    vocab_size: int | None = None,
) -> Tokens:
    """Encodes the corpus, or finds it prepared in `folder`, and maps its ids into memory.

    The files are named after the text's checksum, so a changed text is prepared anew; they are renamed into place
    when whole, so that processes that prepare the same text at once do not disturb each other.

    Args:
        corpus: the text.
        folder: where prepared texts are.
        train_fraction: the first part of the text's characters, which is trained on.
        tokenizer: a name of the table `TOKENIZERS`, the path of a tokenizer.json, or one that is there already, as that
            of a checkpoint.
        vocab_size: how many tokens there shall be, where the tokenizer leaves a choice.

    Raises:
        UserError: the text is empty, not UTF-8, or the folder can't be written to; or there is no such tokenizer.
    """
    recipe = Recipe.of(tokenizer) if isinstance(tokenizer, Tokenizer) else tokenizer_recipe(tokenizer, vocab_size)
    by_character = recipe.kind.per_character
    sha256 = corpus.sha256()
    for key in recipe.keys:
        # any other tokenizer learns from the training part only, and no token may reach across the split
        choices = key if by_character else f"{key}.{train_fraction!r}"
        card_path = Path(folder) / f"{sha256[:16]}.{choices}.v{FORMAT}.json"
        ids_path = card_path.with_suffix(".ids")
        card = _read_card(card_path, ids_path, recipe)
        if card is not None:
            break
    if card is None:
        try:
            card = _write(corpus, ids_path, card_path, recipe, train_fraction)
        except OSError as error:
            raise UserError(f"can't save the prepared text in {folder}: {error.strerror or error}") from error
    n_train = int(train_fraction * card.length.tokens) if by_character else card.n_train
    ids = map_ids(ids_path, card.dtype)
    remarks = [REMARKS[name] for name in card.remarks]
    if recipe.size is not None and len(card.tokenizer) < recipe.size:
        unit = card.tokenizer.unit
        remarks.append(f"its training part gives {len(card.tokenizer):,} {unit}s, not {recipe.size:,}: it is short")
    return Tokens(
        ids,
        n_train,
        card.tokenizer,
        corpus.name,
        sha256,
        card.length,
        tuple(remarks),
        train_fraction,
        ids_path,
        NO_TEXT not in card.remarks,
    )


@dataclass(frozen=True)
class Card:
    """The metadata beside the ids of a prepared text.

    Attributes:
        tokenizer: what the ids stand for.
        length: of the text.
        n_train: tokens of its training part; of a tokenizer `per_character`, any part can be trained on.
        dtype: of the ids.
        checksum: CRC-32 of the file of ids: against damage, at a sixth of SHA-256's time at each start.
        remarks: names among REMARKS.
    """

    tokenizer: Tokenizer
    length: Length
    n_train: int
    dtype: str
    checksum: int
    remarks: tuple[str, ...]

    def as_plain(self) -> dict[str, Any]:
        """Describes the card in plain values, as it is written."""
        return {**vars(self), "tokenizer": self.tokenizer.as_plain(), "length": vars(self.length)}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> "Card":
        """Makes the card that these plain values describe; they are not trusted.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        length = Length(**plain["length"])
        numbers = [length.tokens, length.characters, length.bytes, plain["n_train"]]
        if not all(type(number) is int and 0 <= number < 2**48 for number in numbers) or not length.tokens:
            raise ValueError("its lengths can't be true")
        if not length.characters <= length.bytes <= 4 * length.characters or plain["n_train"] > length.tokens:
            raise ValueError("its lengths do not go together")
        tokenizer = of_plain(plain["tokenizer"])
        if tokenizer.per_character and length.tokens != length.characters:
            raise ValueError("its lengths are not those of characters")
        if plain["dtype"] not in DTYPES or not set(plain["remarks"]) <= REMARKS.keys():
            raise ValueError("its words are not of this table")
        return cls(**{**plain, "tokenizer": tokenizer, "length": length})


def _read_card(card_path: Path, ids_path: Path, recipe: Recipe) -> Card | None:
    """Reads the card; None unless it and the ids that it describes are there as they were written."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        if card_path.stat().st_size <= LONGEST_CARD:
            card = Card.of_plain(json.loads(card_path.read_text(encoding="utf-8")))
            if recipe.makes(card.tokenizer) and _are_as_written(ids_path, card):
                return card
    return None


def _are_as_written(ids_path: Path, card: Card) -> bool:
    """Checks that the file of ids has the card's length and checksum, and only ids of its tokenizer."""
    dtype = np.dtype(card.dtype)
    if ids_path.stat().st_size != card.length.tokens * dtype.itemsize:
        return False
    checksum, largest = 0, 0
    with ids_path.open("rb") as file:
        while chunk := file.read(CHUNK * dtype.itemsize):
            checksum = zlib.crc32(chunk, checksum)
            largest = max(largest, int(np.frombuffer(chunk, dtype=dtype).max()))
    return checksum == card.checksum and largest < len(card.tokenizer)


def _write(corpus: Corpus, ids_path: Path, card_path: Path, recipe: Recipe, fraction: float) -> Card:
    """Writes ids and card in a few passes over the text: to count it and learn the tokenizer, then to encode it."""
    # it is read so often at most: to count it, to learn from it, twice, and to encode each of two parts
    readings = 2 if recipe.kind.per_character else 5
    with _progress(corpus, readings) as bar:
        text = (RawText if recipe.kind.reads_any_file else DecodedText)(corpus, bar)
        by_character = recipe.kind.per_character
        if by_character and recipe.made is None:
            tokenizer = recipe.learn(text.pieces)  # which reads it, and so counts it
        else:
            for _ in text.pieces():
                pass
            tokenizer = recipe.made or recipe.learn(partial(text.between, 0, int(fraction * text.characters)))
        split = text.characters if by_character else int(fraction * text.characters)
        parts = [(0, split), (split, text.characters)]
        dtype = np.min_scalar_type(len(tokenizer) - 1)
        checksum, written = 0, []
        with replacing(ids_path) as file:
            for start, end in parts:
                written.append(0)
                for ids in tokenizer.encode_pieces(text.between(start, end)):
                    data = ids.astype(dtype, copy=False).tobytes()
                    checksum = zlib.crc32(data, checksum)
                    file.write(data)
                    written[-1] += len(ids)
    length = Length(sum(written), text.characters, text.bytes)
    card = Card(tokenizer, length, written[0], dtype.name, checksum, text.remarks)
    with replacing(card_path) as file:  # last: where it lies, the ids are whole
        file.write(json.dumps(card.as_plain()).encode())
    return card


def _progress(corpus: Corpus, readings: int) -> "tqdm[NoReturn]":
    """Makes a progress bar for so many passes over the corpus, shown on a terminal and only where it takes long."""
    from tqdm import tqdm

    return tqdm(
        total=readings * corpus.size, unit="B", unit_scale=True, desc=f"preparing {corpus.name}", leave=False,
        delay=1.0, disable=None,
    )  # fmt: skip
