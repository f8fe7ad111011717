"""Describes networks for the page in plain values, and their weights as bytes. Knows nothing of HTML.

Legend: V vocabulary, C channels.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lightning_gpt.errors import UserError
from lightning_gpt.model import TrainedGPT
from lightning_gpt.tokens import BPE, Tokenizer


@dataclass(frozen=True)
class Shown:
    """A network on the page.

    Attributes:
        gpt: the network.
        name: what it is called there.
        idea: what is new in it, in a few words.
        step: of training, after which these are its weights; None: not known.
        loss: nats per held-out token; None: not known.
        half: keep its weights in 16 bits.
    """

    gpt: TrainedGPT
    name: str
    idea: str = ""
    step: int | None = None
    loss: float | None = None
    half: bool = False


@dataclass(frozen=True)
class Content:
    """All that is on the page.

    Attributes:
        title: its title.
        networks: to write with and to look into, the one to begin with last; several stand side by side as a ladder.
        film: the last of them, earlier in its training.
        prompt: the text to begin with.
        line: a line of text that the networks are asked about.
        seed: of what they write at first.
    """

    title: str
    networks: Sequence[Shown]
    film: Sequence[Shown]
    prompt: str
    line: str
    seed: int

    def __post_init__(self) -> None:
        tokenizer = self.networks[-1].gpt.tokenizer
        for shown in (*self.networks, *self.film):
            if shown.gpt.tokenizer != tokenizer:
                raise UserError(
                    f"{shown.name} knows other tokens than {self.networks[-1].name}: give each its own page"
                )

    def as_plain(self) -> dict[str, Any]:
        """Describes it in plain values; the weights are apart, see `weights`."""
        main = self.networks[-1].gpt
        prompt, line = (main.tokenizer.clean(text) for text in (self.prompt, self.line))
        return {
            "title": self.title,
            "tokenizer": plain_tokenizer(main.tokenizer),
            "networks": [plain_network(shown) for shown in (*self.networks, *self.film)],
            "ladder": len(self.networks),
            "axes": principal_axes(main.network.embedding().weight),
            "prompt": {"text": prompt, "ids": main.tokenizer.encode(prompt).tolist()},
            "line": {"text": line, "ids": main.tokenizer.encode(line).tolist()},
            "seed": self.seed,
        }

    def weights(self) -> list[str]:
        """Encodes the weights of each network in base64, in the order of `as_plain`'s networks."""
        return [packed(shown) for shown in (*self.networks, *self.film)]


def plain_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """Describes a tokenizer by the bytes of its tokens."""
    tokens = [tokenizer.token_bytes(token) for token in range(len(tokenizer))]
    return {
        "kind": tokenizer.kind,
        "unit": tokenizer.unit,
        "bytes": base64.b64encode(b"".join(tokens)).decode(),
        "lengths": [len(token) for token in tokens],
        **({"rules": tokenizer.rules_by_id()} if isinstance(tokenizer, BPE) else {}),
    }


def plain_network(shown: Shown) -> dict[str, Any]:
    """Describes a network but for the values of its weights."""
    network = shown.gpt.network
    return {
        "name": shown.name,
        "idea": shown.idea,
        "step": shown.step,
        "loss": shown.loss,
        "network": type(network).__name__,
        "sizes": dict(network.sizes),
        "parameters": sum(p.numel() for p in network.parameters()),
        "bits": 16 if shown.half else 32,
        "tensors": [[name, list(tensor.shape)] for name, tensor in network.state_dict().items()],
    }


def packed(shown: Shown) -> str:
    """Encodes a network's weights in base64: one after another, row by row, little end first."""
    number = "<f2" if shown.half else "<f4"
    tensors = shown.gpt.network.state_dict().values()
    with np.errstate(over="ignore"):  # what 16 bits can't hold becomes infinite, and is refused
        parts = [tensor.float().cpu().numpy().astype(number) for tensor in tensors]
    if not all(np.isfinite(part).all() for part in parts):
        raise UserError(f"{shown.name} has weights that 16 bits can't hold: leave out --half")
    return base64.b64encode(b"".join(part.tobytes() for part in parts)).decode()


def principal_axes(embedding: torch.Tensor) -> list[list[float]]:
    """Finds the two directions (2, C) along which the tokens of an embedding (V, C) differ most, each of length 1.

    Of the directions of the vectors, not their lengths: what the network reads is normalised.
    """
    directions = torch.nn.functional.normalize(embedding.detach().double().cpu(), dim=-1)
    _, _, axes = torch.linalg.svd(directions - directions.mean(dim=0), full_matrices=False)
    found = torch.zeros(2, embedding.shape[1], dtype=torch.float64)
    found[: len(axes)] = axes[:2]
    return [[round(number, 5) for number in axis] for axis in found.tolist()]
