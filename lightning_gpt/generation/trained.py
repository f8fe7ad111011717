"""A trained network with its vocabulary: text in, text out. Needs its checkpoint only, not the corpus."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_gpt import checkpoint
from lightning_gpt.checkpoint import Record
from lightning_gpt.errors import UserError
from lightning_gpt.generation.decoding import decode, evaluating, for_decoding
from lightning_gpt.ladder import Network
from lightning_gpt.text import IGNORE, HeldOutBlocks, Vocabulary

MOST_READ = 2_000_000  # characters that `TrainedGPT.read` is best asked for at once: it keeps a number for each


class TrainedGPT:
    """A network and the characters it knows.

    Attributes:
        network: in eval mode.
        vocabulary: its characters.
        record: what its checkpoint says of it; None if it was not loaded from one.
    """

    def __init__(self, network: Network, vocabulary: Vocabulary, record: Record | None = None) -> None:
        self.network = network
        self.vocabulary = vocabulary
        self.record = record

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return next(self.network.parameters()).device

    def generate(
        self,
        prompt: str = "\n",
        max_new_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | None = None,
        unknown: str = "error",
        cached: bool = True,
    ) -> str:
        """The prompt's continuation, without the prompt.

        Args:
            prompt: text to continue, of any length; the network sees a block of it at most, see `decode`.
            max_new_tokens: characters to write at most.
            temperature: 0 for the likeliest character each time; 1 for the network's own probabilities.
            top_k: draw from the k likeliest characters only.
            top_p: draw from the fewest characters whose probabilities reach p.
            seed: same seed, same text; None draws on torch's global random state.
            stop: end before this string.
            unknown: what to do with an unknown character of the prompt, see `Vocabulary.encode`.
            cached: fast, with a cache, where the network has one; False: every character reads the block again.

        Raises:
            UserError: an option out of its range, or an unknown character in the prompt.
        """
        return "".join(self.stream(prompt, max_new_tokens, temperature, top_k, top_p, seed, stop, unknown, cached))

    def stream(
        self,
        prompt: str = "\n",
        max_new_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | None = None,
        unknown: str = "error",
        cached: bool = True,
    ) -> Iterator[str]:
        """As `generate`, in pieces as they come: a character each, held back only while it may begin `stop`."""
        rows = self.streams(1, prompt, max_new_tokens, temperature, top_k, top_p, seed, stop, unknown, cached)
        return (piece for (piece,) in rows if piece)

    def streams(
        self,
        number: int,
        prompt: str = "\n",
        max_new_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        stop: str | None = None,
        unknown: str = "error",
        cached: bool = True,
    ) -> Iterator[list[str]]:
        """Several continuations, written together: `number` pieces at a time, as they come; many may be empty.

        Text i is the one that `generate` writes with seed + i.
        """
        if number < 1:
            raise UserError(f"the number of texts must be at least 1, not {number}")
        endings = [Ending(stop) for _ in range(number)]
        ids = self.vocabulary.encode(prompt, unknown).to(self.device).expand(number, -1)  # (B, T)
        if seed is not None and not 0 <= seed <= seed + number <= 2**63:
            raise UserError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed}")
        generators = None
        if seed is not None:
            generators = [torch.Generator(self.device).manual_seed(seed + i) for i in range(number)]
        drawn = decode(
            self.network,
            ids,
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            generator=generators,
            cached=cached,
        )
        return self._pieces(drawn, endings)

    def _pieces(self, drawn: Iterator[Tensor], endings: list["Ending"]) -> Iterator[list[str]]:
        for column in drawn:
            characters = [self.vocabulary.characters[i] for i in column[:, 0].tolist()]
            yield [ending.feed(character) for ending, character in zip(endings, characters, strict=True)]
            if all(ending.reached for ending in endings):
                return
        yield [ending.rest() for ending in endings]

    def loss(self, text: str) -> float:
        """Exact mean loss over the text's targets, in nats per character; blocks as in validation.

        Raises:
            UserError: fewer than two characters, or an unknown one.
        """
        ids = self.vocabulary.encode(text)
        if len(ids) < 2:
            raise UserError("a loss needs at least two characters: one to read and one to guess")
        return float(self.read(ids.numpy()).nats.mean())

    def read(self, ids: np.ndarray, guesses: int = 0) -> "Reading":
        """What the network expected at each character of a text but the first; blocks as in validation.

        Args:
            ids: (N,) of the vocabulary, N at least 2.
            guesses: how many of the likeliest characters are kept for each place.
        """
        nats, likely, shares = [], [], []
        for x, y in HeldOutBlocks(ids, self.network.block_size):
            y = y.flatten().to(self.device)
            with torch.no_grad(), evaluating(self.network):
                logits = self.network(x.to(self.device)).float().flatten(0, 1)[y != IGNORE]  # (n, V)
            y = y[y != IGNORE]
            nats.append(F.cross_entropy(logits, y, reduction="none").cpu())
            if guesses:
                top = logits.softmax(dim=-1).topk(min(guesses, logits.shape[-1]))
                likely.append(top.indices.cpu())
                shares.append(top.values.cpu())
        if not guesses:
            likely, shares = [torch.empty(len(ids) - 1, 0, dtype=torch.long)], [torch.empty(len(ids) - 1, 0)]
        return Reading(torch.cat(nats).double().numpy(), torch.cat(likely).numpy(), torch.cat(shares).numpy())


@dataclass(frozen=True)
class Reading:
    """What a network expected of a text of N characters.

    Attributes:
        nats: (N - 1,), each character's surprisal, -ln of its probability; the first has none.
        guesses: (N - 1, k), the ids of the k likeliest characters at each place, the likeliest first.
        shares: (N - 1, k), their probabilities.
    """

    nats: np.ndarray
    guesses: np.ndarray
    shares: np.ndarray


class Ending:
    """Lets a text through up to the first `stop`; what might be its beginning waits until it is clear that it is not.

    Attributes:
        reached: whether `stop` has come.

    Raises:
        UserError: an empty `stop`.
    """

    def __init__(self, stop: str | None) -> None:
        if stop == "":
            raise UserError("stop must not be empty: leave it out to write on to the end")
        self.stop = stop
        self.reached = False
        self._held = ""

    def feed(self, character: str) -> str:
        """What is certain of the text now, without what was certain before."""
        if self.reached or self.stop is None:
            return "" if self.reached else character
        held = self._held + character
        self.reached = held.endswith(self.stop)
        if self.reached:
            waiting = len(self.stop)
        else:
            tails = range(min(len(self.stop) - 1, len(held)), -1, -1)
            waiting = next(n for n in tails if self.stop.startswith(held[len(held) - n :]))
        self._held = "" if self.reached else held[len(held) - waiting :]
        return held[: len(held) - waiting]

    def rest(self) -> str:
        """What has waited in vain, when no more comes."""
        return self._held


def load(file: str | Path, device: str | torch.device = "cpu") -> TrainedGPT:
    """Loads a trained network from its checkpoint file.

    Raises:
        UserError: no such file, not a checkpoint of this project, or damaged.
    """
    try:
        place = torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:  # torch's own words for what it was not built for
        raise UserError(f"no device {device} on this machine: take cpu") from error
    contents = checkpoint.read(file)
    record = Record.of(contents, file)
    try:
        weights = {name.removeprefix(checkpoint.WEIGHTS): weight for name, weight in contents["state_dict"].items()}
        network = record.build(weights)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise UserError(f"{file} is damaged: its weights do not fit the network it names") from error
    return TrainedGPT(for_decoding(network.to(place)), Vocabulary(record.vocabulary), record)
