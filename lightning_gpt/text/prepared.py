"""A corpus prepared once: a file of ids as small as the tokenizer allows, memory-mapped ever after, and split.

Prepared files are a cache: whatever does not look as it was written is made anew.
"""

import json
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.text.corpus import CHUNK, Corpus
from lightning_gpt.text.decoded import FOUND, DecodedText, remarks_on, warnings_of
from lightning_gpt.text.examples import Examples
from lightning_gpt.text.mapped import map_ids
from lightning_gpt.text.raw import NO_TEXT, RawText
from lightning_gpt.text.split import Split
from lightning_gpt.text.units import Length
from lightning_gpt.tokens import Recipe, Tokenizer, of_plain, tokenizer_recipe

if TYPE_CHECKING:
    from tqdm import tqdm

FORMAT = 3  # raised when the files' meaning changes, so that old ones are made anew
DTYPES = ("uint8", "uint16", "uint32")
CHARACTERS = tokenizer_recipe("characters")
LONGEST_CARD = 2**26  # bytes; all of Unicode takes 13 million
LOOKED_THROUGH = 100_000  # tokens that a line break is looked for in


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
        remarks: what was done to the text on its way (files left out, "\\r\\n" to "\\n"), and which files are held out.
        warnings: what is suspicious about it (control characters, another encoding).
        encoding: of its bytes, by Python's name; None: UTF-8.
        split: the rule that it was split by.
        path: of the prepared file.
        is_text: whether it is UTF-8; else, which only a tokenizer that reads any file allows, each byte is a character.
        answer_after: the marker that ends a question, as it was typed, where each line is an example; see `examples`.
        examples: the places of all examples; None of a text that is read in blocks.
    """

    ids: np.ndarray
    n_train: int
    tokenizer: Tokenizer
    corpus: str
    sha256: str
    length: Length
    remarks: tuple[str, ...]
    warnings: tuple[str, ...]
    encoding: str | None
    split: Split
    path: Path
    is_text: bool = True
    answer_after: str | None = None
    examples: Examples | None = None

    def as_examples(self, answer_after: str | None) -> "Tokens":
        """Returns the same text with each line an example; the split moves on to where the next line begins.

        Args:
            answer_after: the marker; None leaves the text as it is.

        Raises:
            UserError: see `Examples.of`; or no line is left to hold out.
        """
        if answer_after is None:
            return self
        examples = Examples.of(self.ids, self.tokenizer, answer_after, self.corpus)
        trained = examples.before(self.n_train)
        if not 0 < trained < len(examples):
            raise UserError(
                f"{self.corpus} has too few lines, {len(examples)}: one is needed to train on and one to hold out"
            )
        return replace(self, n_train=int(examples.starts[trained]), answer_after=answer_after, examples=examples)

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

    @property
    def train_examples(self) -> Examples | None:
        """The examples to train on, if the text is read so."""
        return None if self.examples is None else self.examples.part(0, self.examples.before(self.n_train))

    @property
    def val_examples(self) -> Examples | None:
        """The examples held out, if the text is read so."""
        examples = self.examples
        return None if examples is None else examples.part(examples.before(self.n_train), len(examples))

    def held_out_ids(self, most: int) -> np.ndarray:
        """Returns the held-out split's first ids, (n,): at most so many; of examples whole ones, and at least one."""
        if (examples := self.val_examples) is None or len(self.val_ids) <= most:
            return self.val_ids[:most]
        last = max(int(np.searchsorted(examples.ends, self.n_train + most, side="right")), 1)
        return self.ids[self.n_train : examples.ends[last - 1]]

    @cached_property
    def held_out(self) -> Length:
        """The length of the held-out targets: of all its tokens but the first, or those of the answers."""
        targets = self.val_ids[1:]
        if self.examples is not None:
            targets = self.val_ids[self.examples.counted(len(self.ids))[self.n_train :]]
        return Length.of(targets, self.token_lengths)

    @cached_property
    def begin(self) -> str:
        """What a text begins with: a line break, where the training text has lines; else its first character.

        Of examples the first held-out question, its marker included.
        """
        if (examples := self.val_examples) is not None:
            return self.tokenizer.decode(self.ids[examples.starts[0] : examples.answers[0]])
        beginning = self.tokenizer.decode(self.train_ids[:LOOKED_THROUGH])
        return "\n" if "\n" in beginning[:-1] else beginning[:1]

    def __str__(self) -> str:
        unit = self.tokenizer.unit
        tokens = "" if self.tokenizer.per_character else f"{self.length.tokens:,} {unit}s, "
        return f"{self.corpus}: {self.length.characters:,} characters, {tokens}{len(self.tokenizer):,} distinct"


def prepare(
    corpus: Corpus,
    folder: str | Path,
    train_fraction: float = 0.9,
    recipe: Recipe = CHARACTERS,
    split: str = "characters",
) -> Tokens:
    """Encodes the corpus, or finds it prepared in `folder`, and maps its ids into memory.

    The files are named after the text's checksum, so a changed text is prepared anew; they are renamed into place
    when whole, so that processes that prepare the same text at once do not disturb each other.

    Args:
        corpus: the text.
        folder: where prepared texts are.
        train_fraction: the share of the text's characters, from the first on, that is trained on; of a text that comes
            split its own.
        recipe: of its tokenizer.
        split: where the training text ends: "characters" or "files", see `Split`.

    Raises:
        UserError: the text is empty, in another encoding, has what its tokenizer can't spell, or can't be split so; or
            the folder can't be written to.
    """
    if recipe.kind.reads_any_file and corpus.encoding is not None:
        raise UserError(
            f"data.encoding {corpus.encoding} is for text, and {recipe.kind.kind} are read as they are: leave it out"
        )
    rule = Split(train_fraction if corpus.train_fraction is None else corpus.train_fraction, split)
    sha256 = corpus.sha256()
    # any tokenizer but characters learns from the training part only, and no token may reach across the split
    anywhere = recipe.kind.per_character and split == "characters"
    place = None if anywhere else rule.key([part.size for part in corpus.parts])
    for key in recipe.keys:
        stem = ".".join(filter(None, [sha256[:16], corpus.encoding, key, place]))
        card_path = Path(folder) / f"{stem}.v{FORMAT}.json"
        ids_path = card_path.with_suffix(".ids")
        card = _read_card(card_path, ids_path, recipe)
        if card is not None:
            break
    else:
        try:
            card = _write(corpus, ids_path, card_path, recipe, rule)
        except OSError as error:
            raise UserError(f"can't save the prepared text in {folder}: {error.strerror or error}") from error
    n_train = rule.place([card.length.characters], corpus.name)[0] if anywhere else card.n_train
    ids = map_ids(ids_path, card.dtype)
    remarks = [*corpus.remarks, *remarks_on(card.found)]
    if card.held_out_files:
        last = "the last file" if card.held_out_files == 1 else f"the last {card.held_out_files:,} files"
        remarks.append(f"held out: {last} of {len(corpus.parts):,}")
    if recipe.size is not None and len(card.tokenizer) < recipe.size:
        unit = card.tokenizer.unit
        remarks.append(f"its training part gives {len(card.tokenizer):,} {unit}s, not {recipe.size:,}: it is short")
    warnings = warnings_of(card.found, corpus.encoding)
    return Tokens(
        ids, n_train, card.tokenizer, corpus.name, sha256, card.length, tuple(remarks), warnings, corpus.encoding, rule,
        ids_path, NO_TEXT not in card.found,
    )  # fmt: skip


@dataclass(frozen=True)
class Card:
    """The metadata beside the ids of a prepared text.

    Attributes:
        tokenizer: what the ids stand for.
        length: of the text.
        n_train: tokens of its training part; of a tokenizer `per_character`, any part can be trained on.
        dtype: of the ids.
        checksum: CRC-32 of the file of ids: against damage, at a sixth of SHA-256's time at each start.
        found: what the text has, and how often, by names among `FOUND`.
        held_out_files: the last files of the text, if it was split between files.
    """

    tokenizer: Tokenizer
    length: Length
    n_train: int
    dtype: str
    checksum: int
    found: dict[str, int]
    held_out_files: int

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
        found = plain["found"]
        numbers = [length.tokens, length.characters, length.bytes, plain["n_train"], plain["held_out_files"]]
        numbers += found.values()
        if not all(type(number) is int and 0 <= number < 2**48 for number in numbers) or not length.tokens:
            raise ValueError("its lengths can't be true")
        if not length.characters <= length.bytes <= 4 * length.characters or plain["n_train"] > length.tokens:
            raise ValueError("its lengths do not go together")
        tokenizer = of_plain(plain["tokenizer"])
        if tokenizer.per_character and length.tokens != length.characters:
            raise ValueError("its lengths are not those of characters")
        if plain["dtype"] not in DTYPES or not found.keys() <= FOUND:
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


def _write(corpus: Corpus, ids_path: Path, card_path: Path, recipe: Recipe, rule: Split) -> Card:
    """Writes ids and card in a few passes over the text: to count it and learn the tokenizer, then to encode it."""
    # it is read so often at most: to count it, to learn from it, twice, and to encode each of two parts
    readings = 2 if recipe.kind.per_character else 5
    with _progress(corpus, readings) as bar:
        text = (RawText if recipe.kind.reads_any_file else DecodedText)(corpus, bar)
        if recipe.kind.per_character:
            tokenizer = recipe.learn(text.pieces)  # which reads it, and so counts it
            cut, held_out_files = rule.place(text.lengths, corpus.name)
            parts = [(0, text.characters)]
        else:
            for _ in text.pieces():
                pass
            cut, held_out_files = rule.place(text.lengths, corpus.name)
            tokenizer = recipe.learn(partial(text.between, 0, cut))
            parts = [(0, cut), (cut, text.characters)]
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
    n_train = cut if recipe.kind.per_character else written[0]
    card = Card(tokenizer, length, n_train, dtype.name, checksum, text.found, held_out_files)
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
