"""Distillation: a network learns the probabilities of a trained one, not the text's next tokens.

"Distilling the Knowledge in a Neural Network", Hinton et al. 2015. A text shows one next token at each place; a teacher
says how likely each of them was, which on a text that is read many times is much harder to learn by heart. With an
ensemble as the teacher one network comes near to all of them together.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_gpt.errors import UserError
from lightning_gpt.model import TrainedGPT, load
from lightning_gpt.model.decoding import eval_mode
from lightning_gpt.text import IGNORE
from lightning_gpt.tokens import Tokenizer


class Teacher:
    """A trained network that another one learns from. It is no part of it: no checkpoint holds it.

    Args:
        path: its checkpoint.

    Raises:
        UserError: no such file, not a checkpoint of this project, or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():  # best or last would be another one when the run is resumed
            raise UserError(f"model.teacher: no checkpoint at {path}: give the path of a .ckpt file")
        self.gpt: TrainedGPT = load(path)

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

    def loss(self, logits: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Computes the mean cross-entropy of a student with the teacher's probabilities, in nats per token.

        Args:
            logits: the student's (B, T, V), in fp32.
            batch: x and y (B, T), where only y's other values than IGNORE count.
        """
        x, y = batch
        with torch.no_grad(), eval_mode(self.gpt.network.modules()):
            expected = self.gpt.network(x).float().softmax(dim=-1)  # (B, T, V)
        counted = y != IGNORE
        return F.cross_entropy(logits[counted], expected[counted])
