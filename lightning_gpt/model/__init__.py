"""A trained network: its checkpoint's record, its tokenizer, and the text that it writes. Starts without Lightning."""

from lightning_gpt.model.decoding import decode, for_decoding
from lightning_gpt.model.filters import keep_top_k, keep_top_p, next_token
from lightning_gpt.model.record import CorpusRecord, Origin, Record
from lightning_gpt.model.sampling import Sampling
from lightning_gpt.model.trained import TrainedGPT, load

__all__ = [
    "CorpusRecord",
    "Origin",
    "Record",
    "Sampling",
    "TrainedGPT",
    "decode",
    "for_decoding",
    "keep_top_k",
    "keep_top_p",
    "load",
    "next_token",
]
