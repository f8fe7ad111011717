"""Plans: networks of growing size, with all else that a run of them needs but the number of its steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

MEMORISING = 8.0  # passes over the text from which on a network of half a parameter a character learns it by heart
# Exposure to a text, passes times parameters a character: up to which dropout does not help, one network or several; up
# to which a dropout of 0.1 is enough; up to which an optimizer that learns a text faster learns it better.
FRESH, FRESH_TO_SEVERAL, FAMILIAR, FAST = 6.0, 12.0, 30.0, 20.0
BRIEF = 3.0  # passes up to which a higher rate and a shorter momentum were measured to be better
LARGEST = 8.0  # parameters a character: of a text of 30,000, 13 were worse than 3, see measured.csv
WINDOW, POINTER = 64, 32  # of rung 9
VOCABULARY = 65  # distinct tokens that are assumed where a pointer's work is counted


@dataclass(frozen=True)
class Plan:
    """A network of rung 9, or an ensemble of them, and its batches; trained by Muon with a linear decay.

    Attributes:
        n_layer: blocks.
        n_head: heads of each block.
        n_embd: channels.
        block_size: context length, in tokens.
        batch_size: blocks a step, for each network.
        n_member: networks.
    """

    n_layer: int
    n_head: int
    n_embd: int
    block_size: int = 1024
    batch_size: int = 4
    n_member: int = 1

    @property
    def parameters(self) -> int:
        """Parameters of one network's blocks: 12 matrices of (n_embd, n_embd) in each."""
        return 12 * self.n_layer * self.n_embd**2

    @property
    def tokens_per_step(self) -> int:
        """Tokens of a step, of all networks together."""
        return self.block_size * self.batch_size * self.n_member

    @property
    def flops_per_token(self) -> float:
        """Floating-point operations of matrix products for a token, forward and backward: blocks and pointer."""
        attention = 12.0 * self.n_layer * min(2 * WINDOW, self.block_size) * self.n_embd
        return 6.0 * self.parameters + attention + 6.0 * self.block_size * (POINTER + VOCABULARY)

    def in_blocks(self, size: int) -> "Plan":
        """Returns the same networks with blocks of another size, and about as many tokens a step."""
        return replace(self, block_size=size, batch_size=max(round(self.batch_size * self.block_size / size), 1))

    def options(self, passes: float, characters: float) -> dict[str, Any]:
        """Returns the options of a fit, by their full names, but for its steps.

        Args:
            passes: over the text, of each network.
            characters: of the training text.
        """
        exposure = passes * self.parameters / characters
        fresh = exposure <= (FRESH_TO_SEVERAL if self.n_member > 1 else FRESH)
        members = {"model.network.n_member": self.n_member} if self.n_member > 1 else {}
        return {
            "data.block_size": self.block_size,
            "data.batch_size": self.batch_size * self.n_member,
            "model.network": "Ensemble" if members else "ModernGPT",
            **members,
            "model.network.n_layer": self.n_layer,
            "model.network.n_head": self.n_head,
            "model.network.n_embd": self.n_embd,
            "model.network.dropout": 0.0 if fresh else 0.1 if exposure <= FAMILIAR else 0.2,
            "model.network.zero_init": False,
            "model.network.window": WINDOW,
            "model.network.pointer": POINTER,
            **TRAINING,
            **(BRISK if passes <= BRIEF else {}),
            "model.optimizer.second_momentum": 0.95 if exposure <= FAST else 0.0,
            "model.optimizer.cautious": exposure <= FAST,
        }

    def fits(self, characters: float) -> bool:
        """Returns whether a text of so many characters is long enough for its networks."""
        return self.parameters <= LARGEST * characters

    def most_passes(self, characters: float) -> float:
        """Returns the passes after which it would learn a text by heart, not how to write such a text."""
        return MEMORISING if self.parameters > 0.5 * characters else math.inf


# as configs/base/muon.yaml has it
TRAINING: Mapping[str, Any] = {
    "model.optimizer": "Muon",
    "model.optimizer.lr": 0.02,
    "model.optimizer.adamw_lr": 0.01,
    "model.optimizer.weight_decay": 0.2,
    "model.schedule.warmup_steps": 20,
    "model.schedule.decay": "linear",
    "model.schedule.decay_fraction": 1.0,
    "model.schedule.final": 0.02,
    "trainer.gradient_clip_val": 1.0,
}
BRISK: Mapping[str, Any] = {"model.optimizer.lr": 0.03, "model.optimizer.momentum": 0.9}

MEMBERS = (1, 2, 3, 5, 8, 12)  # networks: as few as do not learn the text by heart
PLANS = (
    Plan(2, 1, 64, batch_size=1),
    Plan(2, 2, 128, batch_size=1),
    Plan(4, 2, 128, batch_size=2),
    Plan(6, 3, 192),
    Plan(8, 4, 256),
    Plan(8, 6, 384),
    Plan(12, 8, 512),
    Plan(12, 12, 768),
)
