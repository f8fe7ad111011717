"""lightning-gpt: train, watch, understand and sample a character-level GPT.

>>> gpt = lightning_gpt.load("best")  # of the newest run, or a path
>>> gpt.generate("ROMEO:", max_new_tokens=200, temperature=0.8, seed=1337)
>>> gpt.loss("To be, or not to be")  # nats per character, or whatever its tokens are
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_gpt.errors import UserError
    from lightning_gpt.model import TrainedGPT
    from lightning_gpt.runs import load

__version__ = "0.1.0"
__all__ = ["TrainedGPT", "UserError", "load"]


def __getattr__(name: str) -> Any:
    # torch takes a second to import; whoever only asks for the version should not wait for it
    if name == "TrainedGPT":
        from lightning_gpt.model import TrainedGPT

        return TrainedGPT
    if name == "load":
        from lightning_gpt.runs import load

        return load
    if name == "UserError":
        from lightning_gpt.errors import UserError

        return UserError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
