"""lightning-gpt: train, watch, understand and sample a character-level GPT.

>>> run = lightning_gpt.fit("configs/cpu.yaml", corpus="book.txt", max_steps=500)
>>> run.generate("Once", temperature=0.8, seed=1337)
>>> gpt = lightning_gpt.load("best")  # of the newest run, or a path
>>> gpt.loss("To be, or not to be")  # nats per character, or whatever its tokens are

And for a Trainer of your own: `CharDataModule`, `LanguageModel`, the networks, `TRAINER_DEFAULTS`, `callbacks`.
"""

from __future__ import annotations

from importlib import import_module

# as typing has it, whose import takes 10 ms: until the program has taken Ctrl-C over, it ends in a traceback
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from lightning_gpt.errors import UserError
    from lightning_gpt.ladder import (
        GPT,
        Averaging,
        Bigram,
        Ensemble,
        FeedForwardGPT,
        LayerNormGPT,
        ModernGPT,
        MultiHeadGPT,
        ResidualGPT,
        SingleHeadGPT,
    )
    from lightning_gpt.launch.python import fit
    from lightning_gpt.model import TrainedGPT
    from lightning_gpt.runs import Run, load
    from lightning_gpt.training import TRAINER_DEFAULTS, AdamW, CharDataModule, LanguageModel, Muon, Schedule, callbacks

__version__ = "0.2.0"

# torch takes a second to import and Lightning two more: whoever only asks for the version should not wait for them
_ROOMS = {
    "AdamW": "training",
    "Averaging": "ladder",
    "Bigram": "ladder",
    "CharDataModule": "training",
    "Ensemble": "ladder",
    "FeedForwardGPT": "ladder",
    "GPT": "ladder",
    "LanguageModel": "training",
    "LayerNormGPT": "ladder",
    "ModernGPT": "ladder",
    "MultiHeadGPT": "ladder",
    "Muon": "training",
    "ResidualGPT": "ladder",
    "Run": "runs",
    "Schedule": "training",
    "SingleHeadGPT": "ladder",
    "TRAINER_DEFAULTS": "training",
    "TrainedGPT": "model",
    "UserError": "errors",
    "callbacks": "training",
    "fit": "launch.python",
    "load": "runs",
}
__all__ = [
    "GPT",
    "TRAINER_DEFAULTS",
    "AdamW",
    "Averaging",
    "Bigram",
    "CharDataModule",
    "Ensemble",
    "FeedForwardGPT",
    "LanguageModel",
    "LayerNormGPT",
    "ModernGPT",
    "MultiHeadGPT",
    "Muon",
    "ResidualGPT",
    "Run",
    "Schedule",
    "SingleHeadGPT",
    "TrainedGPT",
    "UserError",
    "callbacks",
    "fit",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
