"""Finds the text that a checkpoint was trained on, by its record and its run's configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.model import Record
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.folders import run_folder
from lightning_gpt.text import Tokens, find_corpus, prepare
from lightning_gpt.tokens import Recipe


def text_of(path: Path, record: Record, data_dir: str | Path = "data") -> Tokens:
    """Finds the text that the checkpoint at `path` was trained on, split and numbered as it was then.

    Args:
        path: the checkpoint's file.
        record: the checkpoint's record.
        data_dir: the folder that fetched and prepared texts are saved in.

    Raises:
        UserError: it is not known where the text is, or the text is gone or has changed.
    """
    corpus = record.corpus
    if corpus is None:
        raise UserError(f"{path} does not say what it was trained on")
    data = _data_options(path)
    source: Any = corpus.source
    fraction: Any = corpus.train_fraction
    if fraction is None:  # format 1 did not say
        source, fraction = data.get("corpus"), data.get("train_fraction")
    if not isinstance(source, str) or not isinstance(fraction, float) or not 0.0 < fraction < 1.0:
        raise UserError(f"{path} does not lie in a run's folder, so it is not known where its text is")
    found = find_corpus(source, data_dir, None, corpus.endings, corpus.encoding, fetch=False)  # a stranger's word
    now = found.sha256()  # before it is read: whoever sent the checkpoint may have named any file of this machine
    if now != corpus.sha256:
        raise UserError(
            f"{path} was trained on {corpus.name!r} with SHA-256 {corpus.sha256[:12]}…, and that text has {now[:12]}… "
            "now: bring the old text back"
        )
    tokens = prepare(found, Path(data_dir) / "prepared", fraction, Recipe.of(record.tokenizer), corpus.split)
    return tokens.as_examples(corpus.answer_after)


def _data_options(path: Path) -> Mapping[str, Any]:
    """Reads the section `data` of the run's configuration; empty where there is none."""
    folder = run_folder(path)
    if folder is None or not (folder / FILE).is_file():
        return {}
    data = read_config(folder / FILE).get("data")
    return data if isinstance(data, Mapping) else {}
