"""The options of sampling as one dataclass that checks itself. Knows no network."""

from dataclasses import dataclass

from lightning_gpt.errors import UserError
from lightning_gpt.machine import too_much

BYTES = 100  # that a token takes until its text is whole


@dataclass(frozen=True)
class Sampling:
    """The options of sampling, for Python, the command line and the samples of a run.

    Attributes:
        max_new_tokens: tokens to write at most.
        temperature: logits are divided by it; below 1 bolder, above 1 wilder, 0 the likeliest token (greedy).
        top_k: draw from the k likeliest tokens only.
        top_p: draw from the fewest tokens whose probabilities reach p, after `top_k`.
        seed: same seed, same text; None draws on torch's global random state.
        stop: end before this string.
        cached: remember what was read, where the network can; False reads the whole block again for each token.
        bf16: multiply in bf16: weights of half the size to read, and probabilities of two to three digits.

    Raises:
        UserError: an option out of its range.
    """

    max_new_tokens: int = 500
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | None = None
    cached: bool = True
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.max_new_tokens < 0:
            raise UserError(f"max_new_tokens must be at least 0, not {self.max_new_tokens}")
        if said := too_much(self.max_new_tokens * BYTES):
            raise UserError(f"max_new_tokens {self.max_new_tokens}: such a text would take {said}")
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature must be 0 (greedy) or above, not {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise UserError(f"top_k must be at least 1, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UserError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UserError(f"seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if self.stop == "":
            raise UserError("stop must not be empty: leave it out to write on to the end")
