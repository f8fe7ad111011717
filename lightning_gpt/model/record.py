"""A checkpoint's record: network, tokenizer, corpus, provenance, in plain values. Read as untrusted; knows no file."""

import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import NETWORKS, Network
from lightning_gpt.ladder.aliases import modernised
from lightning_gpt.ladder.count import count_parameters
from lightning_gpt.text import Tokens
from lightning_gpt.tokens import Tokenizer, of_plain

KEY = "lightning_gpt"  # the record's key in the checkpoint
FORMAT = 2
BY_NAME: dict[str, type[Network]] = {network.__name__: network for network in NETWORKS}
LONGEST = 4096  # characters of a string
T = TypeVar("T")


@dataclass(frozen=True)
class CorpusRecord:
    """The text that a network was trained on, as far as a checkpoint knows it.

    Attributes:
        name: the text's name.
        source: what named it: a path or a name, as it was given.
        sha256: fingerprint of its bytes.
        characters: of the whole text.
        bytes: of its UTF-8, as it was read; None: not known (format 1).
        tokens: that these are.
        train_fraction: the share of its characters, from the first on, that was to be trained on; None: not known
            (format 1).
        split: where that part ends, "characters" or "files"; see `text.split`.
        encoding: of its files, by the name that was given; None: UTF-8.
        endings: of the files that are read, if it is a folder.
        begin: what it or a line of it begins with, see `Tokens.begin`; None: not known (checkpoints of version 0.1).
        answer_after: the marker that ends a question, where each line is an example, see `text.examples`.
    """

    name: str
    source: str
    sha256: str
    characters: int
    bytes: int | None
    tokens: int
    train_fraction: float | None
    split: str = "characters"
    encoding: str | None = None
    endings: str = ".txt"
    begin: str | None = None
    answer_after: str | None = None

    @classmethod
    def of(cls, tokens: Tokens, source: str, endings: str = ".txt") -> "CorpusRecord":
        """Describes a prepared text that `source` named, of files with these endings."""
        length, split = tokens.length, tokens.split
        return cls(
            tokens.corpus, source, tokens.sha256, length.characters, length.bytes, length.tokens, split.fraction,
            split.by, tokens.encoding, endings, tokens.begin, tokens.answer_after,
        )  # fmt: skip


@dataclass(frozen=True)
class Origin:
    """One step of a network's provenance: what its weights were trained on, or that they were imported.

    Attributes:
        how: one of HOW.
        corpus: name of the text; None: not known.
        sha256: fingerprint of that text's bytes; None: not known.
        steps: of the optimizer, on this text.
        teacher: fingerprint of the checkpoint whose probabilities were learned; None: there was none.
    """

    HOW = ("trained", "fine-tuned", "distilled", "imported")

    how: str
    corpus: str | None
    sha256: str | None
    steps: int
    teacher: str | None = None


@dataclass(frozen=True)
class Record:
    """All that is needed to use the weights; names no class that is not in the ladder's table.

    Attributes:
        network: a rung's class name.
        sizes: its config, as plain values.
        tokenizer: from text to its ids and back.
        corpus: the text it was trained on last; None: not known.
        provenance: where its weights come from, the latest last.
    """

    network: str
    sizes: dict[str, int | float | bool | None]
    tokenizer: Tokenizer
    corpus: CorpusRecord | None = None
    provenance: tuple[Origin, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Describes the record in plain values, as it is saved."""
        return {
            "format": FORMAT,
            "network": self.network,
            "sizes": dict(self.sizes),
            "tokenizer": self.tokenizer.as_plain(),
            "corpus": None if self.corpus is None else asdict(self.corpus),
            "provenance": [asdict(origin) for origin in self.provenance],
        }

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any], path: str | Path) -> "Record":
        """Reads the record of a checkpoint that came from `path`, of format 1 or 2; checks all of it.

        Raises:
            UserError: it has none, or one of another format, or one that is damaged.
        """
        entries = checkpoint.get(KEY) if isinstance(checkpoint, Mapping) else None
        if not isinstance(entries, dict):
            raise UserError(f"{path} is a checkpoint of another program: it does not say what network it holds")
        version = entries.get("format")
        if type(version) is not int or not 1 <= version <= FORMAT:
            said = " ".join(repr(version).split())[:40]
            raise UserError(f"{path} has checkpoint format {said}, this version reads 1 to {FORMAT}")
        try:
            return cls._of_plain(as_format_2(entries, checkpoint.get("global_step")) if version == 1 else entries)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: its record of the network can't be read") from error

    @classmethod
    def _of_plain(cls, plain: dict[str, Any]) -> "Record":
        if not is_text(plain["network"]) or not is_sizes(plain["sizes"]):
            raise ValueError("no network")
        network, sizes = modernised(plain["network"], plain["sizes"])
        if network not in BY_NAME:
            raise ValueError("no network of the ladder")
        corpus, provenance = plain["corpus"], plain["provenance"]
        if not isinstance(provenance, list) or len(provenance) > 1000:
            raise ValueError("its provenance is no list")
        return cls(
            network,
            {**BY_NAME[network].default_sizes(), **sizes},
            of_plain(plain["tokenizer"]),
            None if corpus is None else checked(CorpusRecord, {**YOUNGER, **corpus}, OF_A_CORPUS),
            tuple(checked(Origin, {"teacher": None, **origin}, OF_AN_ORIGIN) for origin in provenance),
        )

    def must_fit(self, other: "Record") -> None:
        """Checks that weights of this record can go on as `other` describes: the same network, the same tokenizer.

        Raises:
            UserError: they can't, with what differs.
        """
        if self.network != other.network:
            raise UserError(f"the checkpoint holds a {self.network}, not a {other.network}: leave it as it was")
        differ = [
            f"{name} is {other.sizes.get(name)}, the checkpoint has {self.sizes.get(name)}"
            for name in {**other.sizes, **self.sizes}
            if name != "vocab_size" and other.sizes.get(name) != self.sizes.get(name)
        ]
        if differ:
            raise UserError(f"the checkpoint holds another network ({'; '.join(differ)}): leave these as they were")
        mine, theirs = self.tokenizer, other.tokenizer
        if mine.kind != theirs.kind:
            raise UserError(
                f"the checkpoint's tokenizer is {mine.kind}, not {theirs.kind}: --data.tokenizer {mine.kind}"
            )
        if mine != theirs:
            names = [record.corpus.name if record.corpus else "another text" for record in (self, other)]
            source = self.corpus.source if self.corpus else names[0]
            raise UserError(
                f"the checkpoint knows {len(mine)} {mine.unit}s of {names[0]}, not the {len(theirs)} of {names[1]}: "
                f"use its own, --data.corpus {shlex.quote(source)}, or train anew"
            )

    def blueprint(self, tensors: int, numbers: int) -> Network:
        """Builds the network without memory for its weights, of which there are so many tensors with so many numbers.

        Raises:
            ValueError, TypeError, RuntimeError: its sizes can't be true.
        """
        layers = (self.sizes.get("n_layer") or 1) * (self.sizes.get("n_member") or 1)
        network = BY_NAME[self.network]
        if (
            self.sizes.get("vocab_size") != len(self.tokenizer)
            or layers > tensors  # before a loop over a billion layers
            or count_parameters(network, self.sizes) != numbers
        ):
            raise ValueError("its sizes can't be true")
        made: Callable[..., Network] = network
        with torch.device("meta"):
            return made(**self.sizes)


def as_format_2(entries: Mapping[str, Any], steps: Any) -> dict[str, Any]:
    """Converts a record of format 1, which knew characters only; nothing is checked yet."""
    name, sha256, length = entries["corpus"], entries["corpus_sha256"], entries["corpus_length"]
    unknown = {"bytes": None, "train_fraction": None}
    return {
        "network": entries["network"],
        "sizes": entries["sizes"],
        "tokenizer": {"kind": "characters", "characters": entries["vocabulary"]},
        "corpus": {
            "name": name, "source": name, "sha256": sha256, "characters": length, "tokens": length, **unknown,
        },
        "provenance": [{"how": "trained", "corpus": name, "sha256": sha256, "steps": steps}],
    }  # fmt: skip


# ------------------------------------------------------------------------------------- what a field may hold

Check = Callable[[Any], bool]


def is_text(value: Any) -> bool:
    """Accepts a string of bearable length."""
    return isinstance(value, str) and len(value) <= LONGEST


def is_count(value: Any) -> bool:
    """Accepts a whole number from 0 on."""
    return type(value) is int and 0 <= value < 2**63


def is_share(value: Any) -> bool:
    """Accepts a float between 0 and 1."""
    return type(value) is float and 0 < value < 1


def is_sha256(value: Any) -> bool:
    """Accepts a SHA-256 in hexadecimal."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def is_sizes(value: Any) -> bool:
    """Accepts a network's sizes: names and plain, finite numbers."""
    return isinstance(value, dict) and all(
        is_text(name) and (x is None or type(x) in (bool, int) or (type(x) is float and math.isfinite(x)))
        for name, x in value.items()
    )


def or_none(check: Check) -> Check:
    """Accepts None, too."""
    return lambda value: value is None or check(value)


OF_A_CORPUS: dict[str, Check] = {
    "name": is_text,
    "source": is_text,
    "sha256": is_sha256,
    "characters": is_count,
    "bytes": or_none(is_count),
    "tokens": is_count,
    "train_fraction": or_none(is_share),
    "split": lambda value: value in ("characters", "files"),
    "encoding": or_none(is_text),
    "endings": is_text,
    "begin": or_none(is_text),
    "answer_after": or_none(is_text),
}
# than the format: what a corpus has where a checkpoint does not say
YOUNGER = {"split": "characters", "encoding": None, "endings": ".txt", "begin": None, "answer_after": None}
OF_AN_ORIGIN: dict[str, Check] = {
    "how": lambda value: is_text(value) and value in Origin.HOW,
    "corpus": or_none(is_text),
    "sha256": or_none(is_sha256),
    "steps": is_count,
    "teacher": or_none(is_sha256),
}


def checked(cls: type[T], plain: Any, checks: Mapping[str, Check]) -> T:
    """Makes a dataclass from plain values, each of which passes its check.

    Raises:
        ValueError, KeyError: one is missing or does not.
    """
    if not isinstance(plain, dict):
        raise ValueError(f"no {cls.__name__}")
    for name, check in checks.items():
        if not check(plain[name]):
            raise ValueError(f"{name} of a {cls.__name__} can't be true")
    return cls(**{name: plain[name] for name in checks})
