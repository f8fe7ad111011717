"""Baselines for a loss: uniform, unigram, bigram and 5-gram models, which only count."""

import json
import math
from contextlib import suppress

import numpy as np

from lightning_gpt.files import replacing
from lightning_gpt.text.mapped import pieces, token_counts
from lightning_gpt.text.prepared import Tokens

MOST_PAIRED = 2048  # tokens of the largest vocabulary whose table of pairs is made: 32 MiB, and copies
MOST_COUNTED = 2**20  # of a longer training text, 5-grams are counted in the last so many tokens
MOST_GUESSED = 2**17  # of a longer held-out text, 5-grams guess the first so many
FORMAT = 2  # raised when the numbers' meaning changes, so that cached ones are counted anew


def baselines(tokens: Tokens) -> dict[str, float]:
    """Computes nats per held-out token of uniform, unigram, bigram and 5-gram counts; cached beside the prepared text.

    Of examples there are none: what counting reaches on whole lines is no measure of their answers.

    Where the vocabulary is too large for a table of pairs there is no bigram. The 5-gram's is for a million tokens of
    training and the first 131,072 held out, where the text has more.
    """
    if tokens.examples is not None:
        return {}
    path = tokens.path.with_name(f"{tokens.path.stem}.{tokens.n_train}.baselines.v{FORMAT}.json")
    size = len(tokens.tokenizer)
    names = ["uniform", "unigram", *(["bigram"] if size <= MOST_PAIRED else []), "5-gram"]
    with suppress(OSError, ValueError, AttributeError, TypeError, RecursionError):
        cached: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        if list(cached) == names and all(type(x) is float and math.isfinite(x) for x in cached.values()):
            return cached
    train, val = tokens.train_ids, tokens.val_ids
    found = {"uniform": uniform_loss(size), "unigram": unigram_loss(train, val, size)}
    if size <= MOST_PAIRED:
        found["bigram"] = bigram_loss(train, val, size)
    found["5-gram"] = ngram_loss(train[-MOST_COUNTED:], val[:MOST_GUESSED], size, 5)
    # where it can't be cached it is counted again
    with suppress(OSError), replacing(path) as file:
        file.write(json.dumps(found).encode())
    return found


def uniform_loss(vocab_size: int) -> float:
    """Computes nats per token of knowing nothing: ln V."""
    return math.log(vocab_size)


def unigram_loss(train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int) -> float:
    """Computes nats per held-out token of counts in the training text (each token counted once more)."""
    counts = token_counts(train_ids, vocab_size) + 1
    nats = -np.log(counts / counts.sum())
    return float(nats @ token_counts(val_ids[1:], vocab_size) / (len(val_ids) - 1))


def bigram_loss(train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int) -> float:
    """Computes nats per held-out token of knowing how often each follows each (each pair counted once more).

    Raises:
        ValueError: a vocabulary of more than MOST_PAIRED, whose table of pairs would not fit.
    """
    if vocab_size > MOST_PAIRED:
        raise ValueError(f"a table of pairs of {vocab_size} tokens is too large")
    counts = np.ones(vocab_size**2, dtype=np.int64)
    for piece in pieces(train_ids, overlap=1):
        counts += np.bincount(piece[:-1].astype(np.int64) * vocab_size + piece[1:], minlength=vocab_size**2)
    table = counts.reshape(vocab_size, vocab_size)
    nats = -np.log(table / table.sum(axis=1, keepdims=True))
    total = sum(nats[piece[:-1], piece[1:]].sum() for piece in pieces(val_ids, overlap=1))
    return float(total / (len(val_ids) - 1))


def ngram_loss(train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int, n: int) -> float:
    """Computes nats per held-out token of knowing how often each follows every n - 1 others.

    Orders 1 to n, each interpolated with the one below it after Witten and Bell 1991: a context that was followed by
    many different tokens is trusted less. The first held-out tokens follow the training text's last.
    """
    ids = np.concatenate([train_ids, val_ids]).astype(np.int64)
    n_train = len(train_ids)
    targets = slice(n_train + 1, None)  # the held-out text's first token is read only, as by a network
    probability = np.full(len(val_ids) - 1, 1.0 / vocab_size)
    contexts = np.zeros(len(ids), dtype=np.int64)  # [i]: a number for the k - 1 tokens before i
    for k in range(1, n + 1):
        size = int(contexts.max()) + 1
        grams = contexts * vocab_size + ids
        known, times = np.unique(grams[k - 1 : n_train], return_counts=True)
        if not len(known):
            break  # the text is shorter than n
        seen = np.bincount(known // vocab_size, weights=times, minlength=size)[contexts[targets]]
        kinds = np.bincount(known // vocab_size, minlength=size)[contexts[targets]]
        place = np.searchsorted(known, grams[targets]).clip(max=len(known) - 1)
        together = np.where(known[place] == grams[targets], times[place], 0)
        probability = np.where(seen > 0, (together + kinds * probability) / np.maximum(seen + kinds, 1), probability)
        # one more token of context, numbered again from 0: codes of n tokens would outgrow an integer
        contexts = np.concatenate([[0], np.unique(grams, return_inverse=True)[1][:-1]])
    return float(-np.log(probability).mean())
