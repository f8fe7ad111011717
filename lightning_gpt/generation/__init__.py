"""From a trained network to text. Starts without Lightning."""

from lightning_gpt.generation.decoding import decode, for_decoding
from lightning_gpt.generation.filters import keep_top_k, keep_top_p, next_character
from lightning_gpt.generation.trained import TrainedGPT, load

__all__ = ["TrainedGPT", "decode", "for_decoding", "keep_top_k", "keep_top_p", "load", "next_character"]
