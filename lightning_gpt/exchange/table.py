"""The table of formats, and the two directions: a trained network to a folder, a file or folder to one."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lightning_gpt.errors import UserError, did_you_mean
from lightning_gpt.exchange import card, gguf, hugging_face, nanogpt, onnx, safetensors
from lightning_gpt.exchange.folder import new_folder
from lightning_gpt.model import TrainedGPT


class Format(NamedTuple):
    """A format that a trained network can be written in.

    Attributes:
        help: what it is, in a few words.
        write: writes its files into an empty folder; returns in Markdown how to use them.
        library: the name by which Hugging Face's hub knows the program that runs it.
    """

    help: str
    write: Callable[[TrainedGPT, Path], str]
    library: str | None = None


FORMATS = {
    "hf": Format("a model of Hugging Face's transformers", hugging_face.write, "transformers"),
    "safetensors": Format("the weights under our own names, to be read back", safetensors.write),
    "onnx": Format("an ONNX graph with a cache, and a program that runs it", onnx.write, "onnx"),
    "gguf": Format("a GGUF file for llama.cpp", gguf.write, "gguf"),
    "nanogpt": Format("nanoGPT's ckpt.pt and meta.pkl", nanogpt.write),
}


def export(gpt: TrainedGPT, to: str, out: str | Path, loss: str | None = None) -> list[Path]:
    """Writes a trained network to the folder `out`, whole or not at all, with a model card; returns its files.

    Args:
        gpt: the network, its tokenizer and its record.
        to: a name in FORMATS.
        out: the folder; an earlier export there is replaced, anything else is not.
        loss: on the held-out text, in words, for the card.

    Raises:
        UserError: no such format, or one that can't hold this network; a missing library; `out` is not free, or can't
            be written.
    """
    if to not in FORMATS:
        raise UserError(f"no format {to!r}; {did_you_mean(to, FORMATS)}")
    chosen = FORMATS[to]
    try:
        with new_folder(out) as folder:
            usage = chosen.write(gpt, folder)
            said = card.model_card(gpt, Path(out).resolve().name, loss, chosen.library, usage)
            (folder / card.FILE).write_text(said, encoding="utf-8")
        return sorted(Path(out).iterdir())
    except OSError as error:
        raise UserError(f"can't write {out}: {error.strerror or error}") from error


def read(path: str | Path, meta: str | Path | None = None) -> TrainedGPT:
    """Reads a network of another program; nothing in it is run.

    Args:
        path: nanoGPT's ckpt.pt, a .safetensors file of ours, or a folder of Hugging Face's.
        meta: nanoGPT's meta.pkl; None: the one beside ckpt.pt.

    Raises:
        UserError: missing, of no format that is known, damaged or hostile, or a network that no rung is.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return hugging_face.read(path)
        if not path.is_file():
            raise UserError(f"no file or folder at {path}")
        with open(path, "rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    if begins == b"PK\x03\x04":
        return nanogpt.read(path, None if meta is None else Path(meta))
    if path.suffix == ".safetensors":
        return safetensors.read(path)
    raise UserError(
        f"{path} is none of what can be imported: nanoGPT's ckpt.pt, model.safetensors of an export, Hugging Face's "
        "folder of a GPT-2"
    )
