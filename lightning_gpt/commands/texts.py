"""The text that a checkpoint was trained on, found again by its run's configuration."""

from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.model import Record
from lightning_gpt.runs import run_config, run_folder
from lightning_gpt.text import Tokens, find_corpus, prepare


def text_of_run(data: dict[str, Any]) -> Tokens:
    """A run's text, split as the run split it.

    Args:
        data: the `data` section of the run's configuration; one of version 0.1 has no tokenizer in it.
    """
    corpus = find_corpus(data["corpus"], data["data_dir"], data["offline_corpus"])
    choice = {name: data[name] for name in ("tokenizer", "vocab_size") if name in data}
    return prepare(corpus, Path(data["data_dir"]) / "prepared", data["train_fraction"], **choice)


def text_of(path: Path, record: Record) -> Tokens:
    """The text that the checkpoint at `path` was trained on.

    Raises:
        UserError: the checkpoint lies in no run's folder, or the text is not the same any more.
    """
    folder = run_folder(path)
    if folder is None or record.corpus is None:
        raise UserError(f"{path} does not lie in a run's folder, so it is not known where its text is")
    tokens = text_of_run(run_config(folder)["data"])
    if tokens.sha256 != record.corpus.sha256:
        raise UserError(
            f"{path} was trained on {record.corpus.name!r} with SHA-256 {record.corpus.sha256[:12]}…, and that text "
            f"has {tokens.sha256[:12]}… now: bring the old text back"
        )
    return tokens
