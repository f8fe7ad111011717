"""The text that a checkpoint was trained on, found again by what its run says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightning_gpt.checkpoint import Record
from lightning_gpt.errors import UserError
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.folders import run_folder
from lightning_gpt.text import Tokens, find_corpus, prepare
from lightning_gpt.text.baselines import baselines


class RunText:
    """A run's text, split as the run split it.

    Args:
        corpus: its name or path.
        train_fraction: the first part of it that was trained on.
        sha256: fingerprint that its bytes must have.
        data_dir: the folder that fetched and prepared texts are saved in.

    Attributes:
        tokens: the whole text.
        train_ids: what was trained on.
        val_ids: what was held out.

    Raises:
        UserError: the text is not there, or not the same any more.
    """

    def __init__(self, corpus: str, train_fraction: float, sha256: str, data_dir: str | Path) -> None:
        self.folder = Path(data_dir) / "prepared"
        self.train_fraction = train_fraction
        found = find_corpus(corpus, data_dir, offline=None)
        now = found.sha256()  # before it is read: whoever sent the run may have named any file of this machine
        if now != sha256:
            raise UserError(
                f"the run was trained on {found.name} with SHA-256 {sha256[:12]}…, and that text has {now[:12]}… now: "
                "bring the old text back"
            )
        self.tokens: Tokens = prepare(found, self.folder)
        self.train_ids: np.ndarray
        self.val_ids: np.ndarray
        self.train_ids, self.val_ids = self.tokens.split(train_fraction)

    def baselines(self) -> dict[str, float]:
        """What counting alone reaches on the held-out text, in nats per character."""
        return baselines(self.tokens, self.train_fraction, self.folder)


def text_of(path: Path, record: Record, data_dir: str | Path = "data") -> RunText:
    """Finds the text that the checkpoint at `path` was trained on.

    Raises:
        UserError: the checkpoint lies in no run's folder, or the text is not there or not the same any more.
    """
    folder = run_folder(path)
    if folder is None or not (folder / FILE).is_file():
        raise UserError(f"{path} does not lie in a run's folder, so it is not known where its text is")
    data: Any = read_config(folder / FILE).get("data")
    data = data if isinstance(data, Mapping) else {}
    corpus, fraction = data.get("corpus"), data.get("train_fraction", 0.9)
    if not isinstance(corpus, str) or not isinstance(fraction, float) or not 0.0 < fraction < 1.0:
        raise UserError(f"{folder / FILE} is damaged: it does not say what was trained on")
    return RunText(corpus, fraction, record.corpus_sha256, data_dir)
