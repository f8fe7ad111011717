"""Distillation: a network learns the probabilities of a trained one, not the text's next tokens.

"Distilling the Knowledge in a Neural Network", Hinton et al. 2015. A text shows one next token at each place; a teacher
says how likely each of them was, which on a text that is read many times is much harder to learn by heart. With an
ensemble as the teacher one network comes near to all of them together.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_gpt.errors import UserError
from lightning_gpt.files import sha256
from lightning_gpt.model import TrainedGPT, load
from lightning_gpt.model.decoding import eval_mode
from lightning_gpt.text import IGNORE, HeldOutBlocks
from lightning_gpt.text.mapped import release
from lightning_gpt.tokens import Tokenizer
from lightning_gpt.training.datamodule import CharDataModule

HELD = 2**30  # bytes of probabilities that are held at most


class Teacher:
    """A trained network that another one learns from. It is no part of it: no checkpoint holds it.

    Args:
        path: its checkpoint.

    Attributes:
        sha256: fingerprint of that file.

    Raises:
        UserError: no such file, not a checkpoint of this project, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():  # best or last would be another one when the run is resumed
            raise UserError(f"model.teacher: no checkpoint at {path}: give the path of a .ckpt file")
        self.gpt: TrainedGPT = load(path)
        self.sha256 = sha256(path)

    def must_fit(self, tokenizer: Tokenizer, block_size: int) -> None:
        """Checks that it can read what its student reads.

        Raises:
            UserError: it has other tokens, or shorter blocks.
        """
        if self.gpt.tokenizer != tokenizer:
            raise UserError(
                "model.teacher has other tokens than this text: train it on this text, or give --data.tokenizer its own"
            )
        if block_size > self.gpt.network.block_size:
            raise UserError(
                f"model.teacher reads {self.gpt.network.block_size} tokens, not data.block_size {block_size}"
            )

    def to(self, device: torch.device) -> "Teacher":
        """Moves its weights to a device; returns itself."""
        self.gpt.to(device)
        return self

    def had_better_read_once(self, data: CharDataModule, steps: int) -> bool:
        """Tells whether it should `read` the training text, not each batch.

        Not where fewer tokens are trained on than it would read, where so many probabilities would take too much
        memory, and where batches are of lines or of a second text. So a run that is resumed for more steps than it was
        begun for may be taught in another way.

        Args:
            data: set up.
            steps: of the whole run; -1: without end.
        """
        n = len(data.train_ids)
        held = n * len(self.gpt.tokenizer) * np.dtype(np.float16).itemsize
        often = steps < 0 or steps * data.tokens_per_batch > 2 * n
        in_blocks = data.tokens.examples is None and not data.rehearsal
        return often and in_blocks and held <= HELD

    @torch.no_grad()
    def read(self, ids: np.ndarray) -> np.ndarray:
        """Computes the probabilities of each next token of a text: (N, V) in fp16, row i after ids[i].

        Its blocks overlap by half, so that all but the first are predicted from half a block at least: better than from
        the beginning of a student's block, which may be anywhere.

        Args:
            ids: (N,), N at least 2.
        """
        size = min(self.gpt.network.block_size, len(ids))
        new = -(-size // 2)
        starts = np.append(np.arange(0, len(ids) - size, new), len(ids) - size)
        found = np.empty((len(ids), len(self.gpt.tokenizer)), dtype=np.float16)
        at_once = max(1, HeldOutBlocks.TOKENS // size)
        for some in np.split(starts, range(at_once, len(starts), at_once)):
            x = torch.from_numpy(ids[some[:, None] + np.arange(size)].astype(np.int64))
            for start, rows in zip(some, self(x.to(self.gpt.device)).cpu().numpy(), strict=True):
                begin = size - new if start else 0
                found[start + begin : start + size] = rows[begin:]
            release(ids)
        return found

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Computes the probabilities (B, T, V) of each next token of x (B, T)."""
        with eval_mode(self.gpt.network.modules()):
            return self.gpt.network(x).float().softmax(dim=-1)


def distillation_loss(logits: Tensor, expected: Tensor, y: Tensor) -> Tensor:
    """Computes the mean cross-entropy of a student with its teacher's probabilities, in nats per token.

    Args:
        logits: the student's (B, T, V), in fp32.
        expected: the teacher's probabilities (B, T, V).
        y: (B, T), the text's next tokens, of which only those that are not IGNORE count.
    """
    counted = y != IGNORE
    return F.cross_entropy(logits[counted], expected[counted].float())
