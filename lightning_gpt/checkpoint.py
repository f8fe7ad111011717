"""What a checkpoint says of itself, and how one is read and written safely. Knows nothing of Lightning."""

import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.ladder import NETWORKS, Network
from lightning_gpt.ladder.aliases import modernised, modernised_key

KEY = "lightning_gpt"  # where the record stands in the checkpoint
WEIGHTS = "net."  # the network's name in the LightningModule
FORMAT = 1
BY_NAME = {network.__name__: network for network in NETWORKS}


@dataclass(frozen=True)
class Record:
    """All that is needed to use the weights, in plain values: no class is named that is not in the ladder's table.

    Attributes:
        network: a rung's class name.
        sizes: what it was made with.
        vocabulary: the characters, in order of their numbers.
        corpus: name of the text it was trained on.
        corpus_sha256: fingerprint of that text's bytes.
        corpus_length: its characters.
    """

    network: str
    sizes: dict[str, int | float | bool | None]
    vocabulary: str
    corpus: str
    corpus_sha256: str
    corpus_length: int

    def as_dict(self) -> dict[str, Any]:
        """The record as it is saved."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any], path: str | Path) -> "Record":
        """The record in a checkpoint that was read from `path`.

        Raises:
            UserError: it has none, or one of another format, or one that names no network of the ladder.
        """
        entries = checkpoint.get(KEY) if isinstance(checkpoint, Mapping) else None
        if not isinstance(entries, dict):
            raise UserError(f"{path} is a checkpoint of another program: it does not say what network it holds")
        if entries.get("format") != FORMAT:
            raise UserError(f"{path} has checkpoint format {entries.get('format')}, this version reads {FORMAT}")
        try:
            record = cls(**{name: entries[name] for name in cls.__dataclass_fields__})
            texts = (record.network, record.vocabulary, record.corpus, record.corpus_sha256)
            known = all(isinstance(text, str) for text in texts) and isinstance(record.sizes, dict)
            if known:
                network, sizes = modernised(record.network, record.sizes)
                record, known = replace(record, network=network, sizes=sizes), network in BY_NAME
        except (KeyError, TypeError):
            known = False
        if not known:
            raise UserError(f"{path} is damaged: its record of the network can't be read")
        return record

    def must_fit(self, other: "Record") -> None:
        """Whether the weights behind this record can go on as `other` describes.

        Raises:
            UserError: another network or another vocabulary, with what differs.
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
        if self.vocabulary != other.vocabulary:
            raise UserError(
                f"the checkpoint knows {len(self.vocabulary)} characters of {self.corpus}, not the "
                f"{len(other.vocabulary)} of {other.corpus}: use its own, --data.corpus {self.corpus}, or train anew"
            )

    def build(self, weights: Mapping[str, torch.Tensor]) -> Network:
        """The network with these weights, in eval mode.

        Raises:
            ValueError, RuntimeError, TypeError: sizes and weights do not belong together.
        """
        layers = (self.sizes.get("n_layer") or 1) * (self.sizes.get("n_member") or 1)
        if layers > len(weights) or self.sizes.get("vocab_size") != len(self.vocabulary):
            raise ValueError("its sizes can't be true")  # before a loop over a billion layers
        with torch.device("meta"):  # no memory before the sizes have proved true, no init that is overwritten anyway
            network = BY_NAME[self.network](**self.sizes)  # type: ignore[arg-type]
        network.load_state_dict(weights, assign=True)
        return network.eval()


def must_hold(checkpoint: Mapping[str, Any], network: Network, path: str | Path) -> None:
    """Whether the weights in a checkpoint are those of a network, by name and shape.

    Raises:
        UserError: they are not.
    """
    expected = {WEIGHTS + name: weight.shape for name, weight in network.state_dict().items()}
    weights = checkpoint.get("state_dict")
    if not isinstance(weights, dict) or expected != {name: getattr(w, "shape", None) for name, w in weights.items()}:
        raise UserError(f"{path} is damaged: its weights do not fit the network it names")


def read(path: str | Path) -> dict[str, Any]:
    """A checkpoint file, on the CPU; tensors and plain values only, so that no code in it can run.

    Raises:
        UserError: missing, truncated, not a checkpoint, or holding more than plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}: give the path of a .ckpt file, or best or last")
    try:
        _must_not_swell(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file can raise anything
        reason = str(error).strip().splitlines()
        raise UserError(
            f"{path} can't be read as a checkpoint; it is truncated, damaged or not one "
            f"({type(error).__name__}: {reason[0][:120] if reason else ''})"
        ) from error
    if not isinstance(checkpoint, dict):
        raise UserError(f"{path} is not a checkpoint: it holds a {type(checkpoint).__name__}")
    if isinstance(weights := checkpoint.get("state_dict"), dict):
        checkpoint["state_dict"] = {modernised_key(str(key)): weight for key, weight in weights.items()}
    return checkpoint


def _must_not_swell(path: Path) -> None:
    """Raises ValueError for an archive that would take more memory than it takes disk: torch compresses nothing."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
            raise ValueError("it would swell when it is read")


def write(checkpoint: Mapping[str, Any], path: str | Path) -> None:
    """Saves the checkpoint whole or not at all; an older file at `path` stays good until the new one is.

    Raises:
        UserError: no space, or no right to write.
    """
    try:
        with replacing(path) as file:
            torch.save(checkpoint, file)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
        raise UserError(
            f"can't save {path} ({getattr(error, 'strerror', None) or str(error).splitlines()[0]}): "
            "make room or name another folder with --runs_dir; what was saved before is untouched"
        ) from error
