"""A run's page in TensorBoard: groups, charts, and what is drawn beside the logged numbers."""

import math
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.pictures import LOOKS, draw_attention, draw_letters
from lightning_gpt.runs.curves import COUNTED
from lightning_gpt.text.classes import CLASSES, character_class
from lightning_gpt.text.lines import held_out_line
from lightning_gpt.training.describe import hyperparameters
from lightning_gpt.training.loggers import takes_options, takes_picture, takes_text, write_numbers, write_picture
from lightning_gpt.training.module import LanguageModel, in_fit
from lightning_gpt.training.restoring import is_loss
from lightning_gpt.training.sharding import whole

# a metric's name to its place on the page: metrics of one chart share a group
PLACES = {"train/loss": "loss/train", "val/loss": "loss/val", "lr": "optim/lr", "grad_norm": "optim/grad_norm"}
BEST = "val/best_loss"
# as COUNTED after loss in the alphabet, so that TensorBoard's first page begins with the loss of the network
MAPS = "maps_of_attention"
CHARTS: dict[str, dict[str, list[str | list[str]]]] = {
    "bits of held-out text": {
        "bits per character and per byte: comparable between tokenizers": ["Multiline", ["val/bits_per_.*"]],
    },
    "speed": {
        "characters per second": ["Multiline", ["speed/chars_per_s"]],
        "share of the machine's peak (MFU)": ["Multiline", ["speed/mfu"]],
    },
    "optimizer": {
        "learning rate": ["Multiline", ["optim/lr"]],
        "norm of the gradient, before clipping": ["Multiline", ["optim/grad_norm"]],
    },
    "novelty of the samples": {
        "longest stretch copied from the training text, in characters": ["Multiline", ["novelty/longest_copied"]],
        "share of characters inside copied stretches of 20 or more": ["Multiline", ["novelty/share_copied"]],
    },
}


def charts(unit: str, counted: Collection[str]) -> dict[str, dict[str, list[str | list[str]]]]:
    """Lays out TensorBoard's charts, the loss first, where a token is called `unit`, with the baselines' names.

    TensorBoard gives a run one colour, and smooths lines, but for the "Margin" charts: a line over a band.
    """
    losses: dict[str, list[str | list[str]]] = {"trained on, and held out": ["Multiline", ["loss/train", "loss/val"]]}
    if counted:
        above = "bigram" if "bigram" in counted else "unigram"
        title = f"held out; the band lies between counting {above}s (its upper edge) and 5-grams (its lower edge)"
        losses = {title: ["Margin", ["loss/val", f"{COUNTED}/5-gram", f"{COUNTED}/{above}"]], **losses}
    return {f"loss, in nats per {unit}": losses, **CHARTS}


class Board(TensorBoardLogger):
    """Lightning's logger with the house's groups, its layout of charts, and without Lightning's count of epochs."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs metrics under their names on the page."""
        super().log_metrics({PLACES.get(name, name): x for name, x in metrics.items() if name != "epoch"}, step)

    @property
    def log_dir(self) -> str:
        """The run's folder; Lightning's own would look for a variable or a user in its name."""
        version = self.version if isinstance(self.version, str) else f"version_{self.version}"
        return str(Path(self.root_dir) / version)

    def save(self) -> None:
        """Flushes what was logged; writes no hparams.yaml, for config.yaml has it all."""
        self.experiment.flush()


class Page(Callback):
    """Fills the page: charts, baselines, hyperparameters with the best loss, graph, attention, embedding.

    Charts, graph and embedding need a Board among the trainer's loggers; the rest goes to any, see `loggers`.
    """

    STATE: ClassVar = {"best": is_loss}
    MOST_POINTS = 10_000_000  # numbers of an embedding that is drawn: TensorBoard reads them as text, all at once
    MOST_LETTERS = 1024  # points that are drawn as what they say
    LINE = 22  # characters of the line whose attention is drawn: as many as TensorBoard shows without shrinking them

    def __init__(self) -> None:
        self._best = math.inf
        self._compared = False  # whether this process has written the hyperparameters

    def state_dict(self) -> dict[str, float]:
        """Saves the best loss so far, for a resumed run."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """See `state_dict`."""
        self._best = state_dict["best"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes layout and graph, and the hyperparameters to other loggers, once a process."""
        assert isinstance(pl_module, LanguageModel)
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                if not isinstance(logger, Board):
                    takes_options(logger, hyperparameters(trainer, pl_module))
        writer = writer_of(trainer)
        if writer is None:
            return
        writer.add_custom_scalars(charts(pl_module.tokenizer.unit, pl_module.data.baselines()))
        net = pl_module.blueprint(*pl_module.data.sizes)  # only its shape is drawn, and no random number is used up
        ids = torch.zeros(1, net.block_size, dtype=torch.long, device="meta")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")  # one length is drawn
            warnings.filterwarnings("ignore", "The input to trace is already a ScriptModule")
            # without its check, which costs two more
            trace = torch.jit.trace(net.eval(), ids, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
            writer.add_graph(trace, ids)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws baselines beside the loss, the best loss so far, and each head's attention.

        Hyperparameters come with the first loss: a run that has none would be an empty row of the table.
        """
        if not trainer.loggers or not in_fit(trainer):
            return
        assert isinstance(pl_module, LanguageModel)
        net = pl_module.whole_net()
        if net is None:
            return
        self._best = min(self._best, float(trainer.callback_metrics["val/loss"]))
        write_numbers(trainer, {**self._baselines(pl_module), BEST: self._best})
        if (writer := writer_of(trainer)) is not None and not self._compared:
            # torch's own function for this opens another event file for the same run
            for summary in hparams(hyperparameters(trainer, pl_module), {BEST: 0.0}):  # type: ignore[no-untyped-call]
                writer._get_file_writer().add_summary(summary)  # type: ignore[no-untyped-call]
            self._compared = True
        ids = self._line(pl_module)
        labels = [pl_module.tokenizer.token_text(token) for token in ids.tolist()]
        for block, maps in enumerate(attention_maps(net, ids).cpu().numpy(), start=1):
            for head in range(len(maps)):
                title = f"block {block}, head {head + 1}"
                picture = draw_attention(maps[head : head + 1], labels, title, cell=12, words=LOOKS)
                write_picture(trainer, f"{MAPS}/block_{block}_head_{head + 1}", picture)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the tokens' embedding, as points; each is drawn as what it says, in the colour of its class."""
        writer = writer_of(trainer)
        assert isinstance(pl_module, LanguageModel) and pl_module.net is not None
        # (V, C); of rung 1 its table: rows of what follows a character
        points = whole(pl_module.net.embedding().weight.detach()).float().cpu()  # on all ranks
        if writer is None or points.numel() > self.MOST_POINTS:
            return
        tokenizer = pl_module.tokenizer
        texts = [tokenizer.token_text(token) for token in range(len(tokenizer))]
        classes = [character_class(text.strip(" ")[:1] or " ") for text in texts]
        letters = None
        if len(texts) <= self.MOST_LETTERS:
            drawn = draw_letters(texts, [CLASSES.index(name) for name in classes])
            letters = torch.from_numpy(drawn).permute(0, 3, 1, 2) / 255
        writer.add_embedding(
            points,
            metadata=[[repr(text), name] for text, name in zip(texts, classes, strict=True)],
            label_img=letters,
            metadata_header=[tokenizer.unit, "class"],
            tag=f"{tokenizer.unit}s",
            global_step=trainer.global_step,
        )

    def _baselines(self, module: LanguageModel) -> dict[str, float]:
        return {f"{COUNTED}/{name}": loss for name, loss in module.data.baselines().items()}

    def _line(self, module: LanguageModel) -> torch.Tensor:
        """Finds ids (T,) of the first held-out line that is long enough to be of interest, or the beginning."""
        assert module.net is not None
        size = min(self.LINE, module.net.block_size)
        return held_out_line(module.data.tokens, size)


def writer_of(trainer: Trainer) -> SummaryWriter | None:
    """Returns the page's writer, on the rank that writes; None without a Board."""
    boards = [logger for logger in trainer.loggers if isinstance(logger, Board)]
    return boards[0].experiment if boards and trainer.is_global_zero else None


@takes_text.register
def _(logger: Board, tag: str, text: str, step: int) -> None:
    # a file's name in it may be no UTF-8
    logger.experiment.add_text(tag, as_markdown(text.encode(errors="replace").decode()), step)


@takes_picture.register
def _(logger: Board, tag: str, picture: Image.Image, step: int) -> None:
    logger.experiment.add_image(tag, np.asarray(picture), step, dataformats="HWC")


def as_markdown(text: str) -> str:
    """Formats text as a code block, the one form that TensorBoard shows with its line breaks and unstyled."""
    return "\n".join("    " + line for line in text.split("\n"))
