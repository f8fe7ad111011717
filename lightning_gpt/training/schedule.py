"""The learning rate's course over a run. Knows nothing of models, optimizers or Lightning."""

import math
from dataclasses import dataclass, field
from typing import Literal

from lightning_gpt.errors import UserError


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then constant, a cosine, or a stable stretch with a linear decay at its end.

    Attributes:
        warmup_steps: steps of linear rise to the full rate.
        decay: what comes after: `constant`; `cosine` (Loshchilov, Hutter 2016); `linear`, the stable rate until the
            last `decay_fraction` of the run, then a straight line ("WSD", Hu et al. 2024).
        decay_fraction: share of the run that the `linear` decay takes.
        final: the rate at the end, as a share of the full one.
        changes: of the number of steps on the way, in order: the step of each, and the number until then. What was to
            come is stretched to the new number from there on. A run that ends before the last change is another one,
            whose course is its own.
    """

    warmup_steps: int = 0
    decay: Literal["constant", "cosine", "linear"] = "constant"
    decay_fraction: float = 0.5
    final: float = 0.1
    changes: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.warmup_steps < 0:
            raise UserError(f"schedule.warmup_steps must be at least 0, not {self.warmup_steps}")
        for name, share in {"decay_fraction": self.decay_fraction, "final": self.final}.items():
            if not 0 <= share <= 1:
                raise UserError(f"schedule.{name} must lie between 0 and 1, not {share}")
        since = -1
        for at, planned in self.changes:
            if not since < at < planned:
                raise UserError(
                    f"schedule.changes must each come before the end that was planned, and after the change before it, "
                    f"unlike [{at}, {planned}]"
                )
            since = at

    def check(self, max_steps: int) -> None:
        """Refuses a decay without a last step to reach.

        Raises:
            UserError: it is one.
        """
        if self.decay != "constant" and max_steps < 1:
            raise UserError(f"schedule.decay {self.decay} needs --trainer.max_steps: it ends there")

    def planned(self, max_steps: int) -> int:
        """Returns the steps that a run of now `max_steps` was begun for."""
        return self.changes[0][1] if self.changes else max_steps

    def __call__(self, step: int, max_steps: int) -> float:
        """Computes the share of the full learning rate at `step`, counted from 0, of a run of `max_steps`."""
        if not self.changes or max_steps <= self.changes[-1][0]:
            return self._share(step, max_steps)
        place: float = step
        for at, planned in reversed(self.changes):  # from course to course, back to the first
            if place > at:
                place = at + (place - at) / (max_steps - at) * (planned - at)
            max_steps = planned
        return self._share(place, max_steps)

    def _share(self, step: float, max_steps: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        if self.decay == "constant":
            return 1.0
        if self.decay == "cosine":
            begin = self.warmup_steps
        else:
            begin = max(self.warmup_steps, round(max_steps * (1 - self.decay_fraction)))
        progress = min(max(step - begin, 0) / max(max_steps - begin, 1), 1.0)  # 0 at its beginning, 1 at the end
        shape = 0.5 * (1 + math.cos(math.pi * progress)) if self.decay == "cosine" else 1 - progress
        return self.final + (1 - self.final) * shape
