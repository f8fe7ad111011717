"""What a loss is to be compared with: models that only count. Nothing here is trained by gradient."""

import math

import numpy as np

MOST_PAIRED = 4096  # characters of the largest vocabulary whose table of pairs is made: 128 MiB


def uniform_loss(vocab_size: int) -> float:
    """Nats per character of knowing nothing: ln V."""
    return math.log(vocab_size)


def unigram_loss(train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int) -> float:
    """Nats per held-out character of knowing how often each occurs in the training text (each counted once more)."""
    counts = np.bincount(train_ids, minlength=vocab_size) + 1
    return float(-np.log(counts / counts.sum())[val_ids[1:]].mean())


def bigram_loss(train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int) -> float:
    """Nats per held-out character of knowing how often each follows each (each pair counted once more).

    Raises:
        ValueError: a vocabulary of more than MOST_PAIRED, whose table of pairs would not fit.
    """
    if vocab_size > MOST_PAIRED:
        raise ValueError(f"a table of pairs of {vocab_size} characters is too large")
    pairs = train_ids[:-1].astype(np.int64) * vocab_size + train_ids[1:]
    counts = np.bincount(pairs, minlength=vocab_size**2).reshape(vocab_size, vocab_size) + 1
    nats = -np.log(counts / counts.sum(axis=1, keepdims=True))
    return float(nats[val_ids[:-1], val_ids[1:]].mean())
