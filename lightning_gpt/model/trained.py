"""A trained network with its tokenizer: text in, text out. Needs its checkpoint only, not the corpus.

Legend: B rows, T block size, V vocabulary, N tokens of a text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Network
from lightning_gpt.machine import memory, too_much
from lightning_gpt.model import checkpoint
from lightning_gpt.model.decoding import bytes_per_text, decode, eval_mode, for_decoding
from lightning_gpt.model.record import KEY, Record
from lightning_gpt.model.sampling import Sampling
from lightning_gpt.text import IGNORE, HeldOutBlocks, HeldOutExamples
from lightning_gpt.text.examples import Examples
from lightning_gpt.text.units import cross_entropy
from lightning_gpt.tokens import Tokenizer

MOST_READ = 2_000_000  # tokens that `TrainedGPT.read` is best given at once: it holds a number for each


class TrainedGPT:
    """A network and its tokenizer.

    Attributes:
        network: in eval mode.
        tokenizer: from text to its ids and back.
        record: what its checkpoint says of it; of a network that comes from none, what is known all the same.
    """

    def __init__(self, network: Network, tokenizer: Tokenizer, record: Record | None = None) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.record = record or Record(type(network).__name__, network.sizes, tokenizer)

    @property
    def device(self) -> torch.device:
        """The device of the network's weights."""
        return next(self.network.parameters()).device

    def to(self, device: str | torch.device) -> "TrainedGPT":
        """Moves the weights to a device; returns itself.

        Raises:
            UserError: this machine has no such device.
        """
        self.network = for_decoding(self.network.to(checked_device(device)))
        return self

    def save(self, path: str | Path) -> None:
        """Writes weights and record to a checkpoint, whole or not at all: a third of a training run's or less.

        It can be loaded and validated; a run can't go on from it, for it has no optimizer's state.

        Raises:
            UserError: no space, or no right to write.
        """
        weights = {checkpoint.WEIGHTS + name: weight for name, weight in self.network.state_dict().items()}
        steps = sum(origin.steps for origin in self.record.provenance)
        # which Lightning's Trainer looks for in any checkpoint
        expected = {"pytorch-lightning_version": version("pytorch-lightning"), "epoch": 0, "global_step": steps}
        checkpoint.write({KEY: self.record.as_dict(), "state_dict": weights, **expected}, path)

    # --------------------------------------------------------------------------------------------------- writing

    @property
    def begin(self) -> str:
        """The text that a text begins with where there is no prompt: what the corpus or a line of it begins with."""
        corpus = self.record.corpus
        return self.tokenizer.clean(corpus.begin or "" if corpus else "")

    def readable(self, prompt: str | None = None, unknown: str = "error") -> str:
        """Returns the text that the network reads for a prompt: without what is skipped; `begin` for none at all.

        Raises:
            UserError: an unknown character, see `Tokenizer.encode`.
        """
        if prompt is None:
            return self.begin
        text = self.tokenizer.decode(self.tokenizer.encode(prompt, unknown))
        return self.begin if prompt and not text else text

    def generate(self, prompt: str | None = None, *options: Any, unknown: str = "error", **named: Any) -> str:
        """Continues the prompt; returns the continuation without it.

        Args:
            prompt: text to continue, of any length; the network sees a block of it at most, see `decode`. None: see
                `begin`.
            options: as for `Sampling`, in its order: max_new_tokens, temperature ...
            unknown: what to do with an unknown character of the prompt, see `Tokenizer.encode`.
            named: as for `Sampling`, by name: temperature=0.8, seed=1337 ...

        Raises:
            UserError: an option out of its range, or an unknown character in the prompt.
        """
        return "".join(self.stream(prompt, *options, unknown=unknown, **named))

    def stream(self, prompt: str | None = None, *options: Any, unknown: str = "error", **named: Any) -> Iterator[str]:
        """Yields what `generate` returns, as it comes: a token each, or more where characters or `stop` must wait."""
        rows = self.streams(1, prompt, *options, unknown=unknown, **named)
        return (piece for (piece,) in rows if piece)

    def streams(
        self, number: int, prompt: str | None = None, *options: Any, unknown: str = "error", **named: Any
    ) -> Iterator[list[str]]:
        """Yields several continuations, written together: `number` pieces at a time; many may be empty.

        Text i is the one that `generate` writes with seed + i.
        """
        sampling = Sampling(*options, **named)
        if self.answer_after is not None and sampling.stop is None:
            sampling = replace(sampling, stop="\n")  # an example ends there, and nothing after it was ever learned
        if number < 1:
            raise UserError(f"the number of texts must be at least 1, not {number}")
        if said := too_much(number * bytes_per_text(self.network), self.device.type):
            raise UserError(f"{number} texts at once would take {said}: write fewer")
        generators = None
        if sampling.seed is not None:
            if sampling.seed + number > 2**63:
                raise UserError(f"seed must be at most 2^63 less the number of texts, not {sampling.seed}")
            generators = [torch.Generator().manual_seed(sampling.seed + i) for i in range(number)]
        ids = self.tokenizer.encode(self.readable(prompt, unknown)).to(self.device).expand(number, -1)  # (B, T)
        drawn = decode(self.network, ids, sampling, generators)
        return self._pieces(drawn, [StopFilter(sampling.stop) for _ in range(number)])

    def most_at_once(self, wanted: int) -> int:
        """How many texts, of so many that are wanted, there is memory to write together; at least one."""
        there = memory(self.device.type) or 2**50
        return max(1, min(wanted, there // 2 // bytes_per_text(self.network)))

    def _pieces(self, drawn: Iterator[Tensor], stops: list["StopFilter"]) -> Iterator[list[str]]:
        rows = [(self.tokenizer.decoder(), stop) for stop in stops]
        for column in drawn:
            tokens = column[:, 0].tolist()
            yield [stop.feed(text.feed(token)) for (text, stop), token in zip(rows, tokens, strict=True)]
            if all(stop.reached for stop in stops):
                return
        yield [stop.feed(text.rest()) + stop.rest() for text, stop in rows]

    # --------------------------------------------------------------------------------------------------- reading

    def loss(self, text: str) -> float:
        """Computes the exact mean loss over the text's targets, in nats per token; read as in validation.

        Raises:
            UserError: fewer than two tokens, or an unknown character; of a network that answers, a line that is no
                example.
        """
        ids = self.tokenizer.encode(text)
        if len(ids) < 2:
            unit = self.tokenizer.unit
            raise UserError(f"a loss needs at least two {unit}s: one to read and one to guess")
        return self.read(ids.numpy()).loss

    @property
    def answer_after(self) -> str | None:
        """The marker before each answer, as it is typed, where the network has learned answers only."""
        return self.record.corpus.answer_after if self.record.corpus else None

    def read(self, ids: np.ndarray, guesses: int = 0) -> "Predictions":
        """Computes surprisal and guesses for each target of a text; in blocks, or in lines, as in validation.

        Args:
            ids: (N,), N at least 2.
            guesses: how many of the likeliest tokens are given for each place.

        Raises:
            UserError: of a network that answers, a line that is no example, or too long a one.
        """
        size, counted = self.network.block_size, np.ones(len(ids) - 1, dtype=bool)
        batches: HeldOutBlocks | HeldOutExamples = HeldOutBlocks(ids, size)
        if self.answer_after is not None:
            examples = Examples.of(ids, self.tokenizer, self.answer_after)
            examples.must_fit(size)
            batches, counted = HeldOutExamples(ids, examples, size), examples.counted(len(ids))[1:]
        k = min(guesses, len(self.tokenizer))
        found = Predictions(
            counted=counted,
            nats=np.full(len(counted), np.nan),
            guesses=np.zeros((len(counted), k), dtype=np.int64),
            shares=np.zeros((len(counted), k), dtype=np.float32),
        )
        places = np.flatnonzero(counted)
        for x, y in batches:
            y = y.flatten().to(self.device)
            with torch.no_grad(), eval_mode(self.network.modules()):
                logits = self.network(x.to(self.device)).float().flatten(0, 1)[y != IGNORE]  # (n, V)
            here, places = places[: len(logits)], places[len(logits) :]
            found.nats[here] = cross_entropy(logits, y[y != IGNORE]).cpu().numpy()
            if k:
                top = logits.softmax(dim=-1).topk(k)
                found.guesses[here], found.shares[here] = top.indices.cpu().numpy(), top.values.cpu().numpy()
        return found


@dataclass(frozen=True)
class Predictions:
    """A network's predictions of a text of N tokens: surprisal and likeliest guesses.

    Attributes:
        counted: (N - 1,), which tokens are targets: all but the first; of examples those of the answers.
        nats: (N - 1,), each target's surprisal, -ln of its probability; NaN for what is none.
        guesses: (N - 1, k), the ids of the k likeliest tokens at each place, the likeliest first.
        shares: (N - 1, k), their probabilities.
    """

    counted: np.ndarray
    nats: np.ndarray
    guesses: np.ndarray
    shares: np.ndarray

    @property
    def loss(self) -> float:
        """The mean over all targets, in nats per token."""
        return float(self.nats[self.counted].mean())


class StopFilter:
    """Ends a stream of text before the first `stop`; what may be the beginning of one waits until that is decided.

    Attributes:
        reached: whether `stop` has come.
    """

    def __init__(self, stop: str | None) -> None:
        self.stop = stop
        self.reached = False
        self._waiting = ""

    def feed(self, piece: str) -> str:
        """Takes one more piece: returns the text that is certain now, without what was certain before."""
        if self.reached or self.stop is None:
            return "" if self.reached else piece
        text = self._waiting + piece
        before, found, _ = text.partition(self.stop)
        if found:
            self.reached, self._waiting = True, ""
            return before
        tails = range(min(len(self.stop) - 1, len(text)), -1, -1)
        waiting = next(n for n in tails if self.stop.startswith(text[len(text) - n :]))
        self._waiting = text[len(text) - waiting :]
        return text[: len(text) - waiting]

    def rest(self) -> str:
        """Ends the stream: returns the text that was still waiting."""
        return self._waiting


def checked_device(device: str | torch.device) -> torch.device:
    """Finds the device of this name.

    Raises:
        UserError: this machine has none.
    """
    try:
        place = torch.empty(0, device=device).device
        if place.type == "meta":  # which computes shapes, no numbers
            raise RuntimeError("no device that computes")
        return place
    except (RuntimeError, AssertionError) as error:  # torch's own words for what it was not built for
        raise UserError(f"no device {device} on this machine: take cpu") from error


def load(path: str | Path, device: str | torch.device = "cpu") -> TrainedGPT:
    """Reads a trained network from the checkpoint at `path`.

    Raises:
        UserError: no such file, not a checkpoint of this project, or damaged.
    """
    place = checked_device(device)
    return of_checkpoint(checkpoint.read(path), path).to(place)


def of_checkpoint(contents: Mapping[str, Any], path: str | Path) -> TrainedGPT:
    """Builds the trained network that a checkpoint holds, as it was read from `path`.

    Raises:
        UserError: not a checkpoint of this project, or damaged.
    """
    record = Record.of(contents, path)
    weights = contents.get("state_dict")
    if not isinstance(weights, dict) or not all(map(checkpoint.is_dense, weights.values())):
        raise UserError(f"{path} is damaged: it holds no weights of a network")
    try:
        network = record.blueprint(len(weights), sum(weight.numel() for weight in weights.values()))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: its weights do not fit the network it names") from error
    checkpoint.must_hold(contents, network, path)
    named = {name.removeprefix(checkpoint.WEIGHTS): weight for name, weight in weights.items()}
    network.load_state_dict(named, assign=True)
    network.eval()
    return TrainedGPT(network, record.tokenizer, record)
