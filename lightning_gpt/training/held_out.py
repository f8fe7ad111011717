"""Gathers the exact loss over a held-out text, in every unit. Knows no network and no Lightning.

Legend: B batch, T time, V vocabulary, N held-out targets.
"""

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.text import Perplexity

from lightning_gpt.text import IGNORE
from lightning_gpt.text.units import NATS_PER_BIT


class HeldOutLoss(nn.Module):
    """The mean over all N targets, not over batches: each target counts once, whatever the batches are.

    Attributes:
        of_examples: whether each row is an example: then `exact` is measured, too, the share of rows with targets in
            which the likeliest token is right at each of them. Greedy decoding writes just these answers.
        token_lengths: (V, 2), see `Tokenizer.token_lengths`: int64, which no precision rounds.
    """

    token_lengths: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.of_examples = False
        self.exact = MeanMetric()
        self.loss = MeanMetric(nan_strategy=float("nan"))  # the default leaves NaN out of the mean
        self.perplexity = Perplexity(ignore_index=IGNORE)
        self.characters = MeanMetric()  # per target, as `bytes`
        self.bytes = MeanMetric()
        # the checkpoint's record has the tokenizer
        self.register_buffer("token_lengths", torch.empty(0, 2, dtype=torch.long), persistent=False)

    def use_double_precision(self) -> None:
        """Sums in fp64, where there is one; to be called on the device, for moving a metric there undoes it."""
        if self.token_lengths.device.type != "mps":
            for metric in (self.loss, self.characters, self.bytes, self.exact):
                metric.set_dtype(torch.float64)

    def update(self, logits: Tensor, y: Tensor, loss: Tensor, targets: Tensor) -> None:
        """Adds a batch: logits (B, T, V), targets y (B, T), their mean loss in nats per token, and their number."""
        self.loss.update(loss, weight=targets)
        self.perplexity.update(logits, y)
        if self.of_examples:
            rows = (y != IGNORE).any(dim=1)
            right = ((logits.argmax(dim=-1) == y) | (y == IGNORE)).all(dim=1)
            self.exact.update(right.float(), weight=rows.float())
        y = y.flatten()
        lengths = (self.token_lengths[y.clamp(min=0)] * (y != IGNORE)[:, None]).sum(dim=0)  # (2,)
        characters, size = lengths.float() / targets.clamp(min=1)
        self.characters.update(characters, weight=targets)
        self.bytes.update(size, weight=targets)

    def compute(self) -> dict[str, Tensor]:
        """Returns the loss in each unit, by its metric's name, of all that was added since the last call."""
        loss = self.loss.compute()
        found = {
            "loss": loss,  # nats per token
            "bits_per_char": loss / self.characters.compute() / NATS_PER_BIT,
            "bits_per_byte": loss / self.bytes.compute() / NATS_PER_BIT,
            "perplexity": self.perplexity.compute(),  # per token
        }
        if self.of_examples:
            found["exact"] = self.exact.compute()
        for metric in (self.loss, self.perplexity, self.characters, self.bytes, self.exact):
            metric.reset()
        return found
