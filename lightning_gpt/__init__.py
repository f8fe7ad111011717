"""lightning-gpt: train, watch, understand and sample a character-level GPT.

>>> gpt = lightning_gpt.load("best")  # of the newest run, or a path
>>> gpt.generate("ROMEO:", max_new_tokens=200, temperature=0.8, seed=1337)
>>> gpt.loss("To be, or not to be")  # nats per character
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_gpt.errors import UserError
    from lightning_gpt.generation import TrainedGPT, load

__version__ = "0.2.0"
__all__ = ["TrainedGPT", "UserError", "load"]


def __getattr__(name: str) -> Any:
    # torch takes a second to import; whoever only asks for the version should not wait for it
    if name in ("TrainedGPT", "load"):
        from lightning_gpt import generation

        return getattr(generation, name)
    if name == "UserError":
        from lightning_gpt.errors import UserError

        return UserError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
