"""The text that a checkpoint was trained on, found again by its run's configuration."""

from pathlib import Path
from typing import Any

import numpy as np

from lightning_gpt.checkpoint import Record
from lightning_gpt.errors import UserError
from lightning_gpt.runs import run_config, run_folder
from lightning_gpt.text import Tokens, find_corpus, prepare
from lightning_gpt.text.baselines import baselines


class RunText:
    """A run's text, split as the run split it.

    Args:
        data: the `data` section of the run's configuration.

    Attributes:
        tokens: the whole text.
        train_ids: what was trained on.
        val_ids: what was held out.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.folder = Path(data["data_dir"]) / "prepared"
        self.train_fraction: float = data["train_fraction"]
        corpus = find_corpus(data["corpus"], data["data_dir"], data["offline_corpus"])
        self.tokens: Tokens = prepare(corpus, self.folder)
        self.train_ids: np.ndarray
        self.val_ids: np.ndarray
        self.train_ids, self.val_ids = self.tokens.split(self.train_fraction)

    def baselines(self) -> dict[str, float]:
        """What counting alone reaches on the held-out text, in nats per character."""
        return baselines(self.tokens, self.train_fraction, self.folder)


def text_of(path: Path, record: Record) -> RunText:
    """The text that the checkpoint at `path` was trained on.

    Raises:
        UserError: the checkpoint lies in no run's folder, or the text is not the same any more.
    """
    folder = run_folder(path)
    if folder is None:
        raise UserError(f"{path} does not lie in a run's folder, so it is not known where its text is")
    text = RunText(run_config(folder)["data"])
    if text.tokens.sha256 != record.corpus_sha256:
        raise UserError(
            f"{path} was trained on {record.corpus!r} with SHA-256 {record.corpus_sha256[:12]}…, and that text has "
            f"{text.tokens.sha256[:12]}… now: bring the old text back"
        )
    return text
