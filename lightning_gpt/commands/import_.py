"""import: makes a run of another program's network. Nothing in its files is run."""

import dataclasses
import shutil
from pathlib import Path

from lightning_gpt.exchange import read
from lightning_gpt.model import CorpusRecord, TrainedGPT
from lightning_gpt.runs import Result, new_version
from lightning_gpt.text import Tokens, find_corpus, prepare
from lightning_gpt.tokens import Recipe

BEST = "checkpoints/best.ckpt"


def import_(
    file: str,
    *,
    to: str,
    meta: str | None = None,
    corpus: str | None = None,
    train_fraction: float = 0.9,
    data_dir: str = "data",
) -> None:
    """Make a run of a network from elsewhere, to generate, validate, report and fine-tune.

    Args:
        file: nanoGPT's ckpt.pt, model.safetensors of an export, or a folder of Hugging Face's with a GPT-2.
        to: The run's home, as runs/NAME; it gets a folder version_N.
        meta: nanoGPT's meta.pkl; the one beside ckpt.pt if left out.
        corpus: The text it was trained on, if you have it: a source's name, or a path.
        train_fraction: The first part of that text, which was trained on.
        data_dir: The folder that fetched and prepared texts are saved in.
    """
    gpt = read(file, meta)
    record = gpt.record
    if corpus is not None:
        tokens = text_for(gpt, corpus, train_fraction, data_dir)
        found = CorpusRecord.of(tokens, corpus)
        origins = tuple(
            dataclasses.replace(origin, corpus=found.name, sha256=found.sha256) if origin.corpus is None else origin
            for origin in record.provenance
        )
        record = dataclasses.replace(record, corpus=found, provenance=origins)
    folder = new_version(Path(to))
    try:
        TrainedGPT(gpt.network, gpt.tokenizer, record).save(folder / BEST)
        parameters = sum(p.numel() for p in gpt.network.parameters())
        card = (("network", f"{record.network}: {parameters:,} parameters"), ("run", f"imported from {file}"))
        Result(finished=True, parameters=parameters, checkpoints={"best": BEST}, card=card).write(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    print(f"a {record.network} of {parameters:,} parameters and {len(gpt.tokenizer)} {gpt.tokenizer.unit}s is now")
    print(f"  {folder / BEST}")


def text_for(gpt: TrainedGPT, corpus: str, train_fraction: float, data_dir: str) -> Tokens:
    """Finds the text that a network from elsewhere was trained on.

    Raises:
        UserError: no such text, or it has what the network's tokenizer can't spell.
    """
    found = find_corpus(corpus, data_dir, offline=None)
    return prepare(found, Path(data_dir) / "prepared", train_fraction, Recipe.of(gpt.tokenizer))
