import math

import numpy as np
import pytest

from lightning_gpt import text
from lightning_gpt.text.baselines import baselines, bigram_loss, ngram_loss, uniform_loss, unigram_loss

TRAIN = np.array([0, 1, 0, 1, 0, 2], dtype=np.uint8)
VAL = np.array([0, 1, 1], dtype=np.uint8)


def test_uniform():
    assert uniform_loss(65) == pytest.approx(4.1744, abs=1e-4)


def test_unigram_by_hand():
    assert unigram_loss(TRAIN, VAL, 3) == pytest.approx(-math.log(3 / 9))  # 1 was seen twice, each counted once more


def test_bigram_by_hand():
    # after 0: 1 twice, 2 once; after 1: 0 twice
    assert bigram_loss(TRAIN, VAL, 3) == pytest.approx(-(math.log(3 / 6) + math.log(1 / 5)) / 2)
    with pytest.raises(ValueError, match="too large"):
        bigram_loss(TRAIN, VAL, 5000)


def witten_bell(train, val, size, n):
    """The same, word for word as it is defined, with dictionaries."""
    ids = [*train, *val]
    total = 0.0
    for i in range(len(train) + 1, len(ids)):
        p = 1 / size
        for k in range(1, n + 1):
            context = tuple(ids[i - k + 1 : i])
            after = [train[j] for j in range(k - 1, len(train)) if tuple(train[j - k + 1 : j]) == context]
            if after:
                p = (after.count(ids[i]) + len(set(after)) * p) / (len(after) + len(set(after)))
        total -= math.log(p)
    return total / (len(val) - 1)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_ngram_is_witten_bell(n):
    generator = np.random.default_rng(n)
    train, val = generator.integers(0, 4, 300).astype(np.uint8), generator.integers(0, 5, 60).astype(np.uint8)
    expected = witten_bell(train.tolist(), val.tolist(), 5, n)
    assert ngram_loss(train, val, 5, n) == pytest.approx(expected, abs=1e-12)


def test_long_texts_are_counted_in_pieces(monkeypatch):
    ids = np.random.default_rng(0).integers(0, 6, 5000).astype(np.uint8)
    train, val = ids[:4000], ids[4000:]
    whole = unigram_loss(train, val, 6), bigram_loss(train, val, 6)
    monkeypatch.setattr(text.mapped, "PIECE", 77)
    assert (unigram_loss(train, val, 6), bigram_loss(train, val, 6)) == pytest.approx(whole, abs=1e-12)


def test_counted_once_then_cached(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question\n" * 30)
    corpus = text.find_corpus(str(tmp_path / "text.txt"))
    tokens = text.prepare(corpus, tmp_path / "prepared")
    first = baselines(tokens)
    assert list(first) == ["uniform", "unigram", "bigram", "5-gram"]
    assert first["5-gram"] < first["bigram"] < first["unigram"] < first["uniform"] == math.log(len(tokens.tokenizer))
    monkeypatch.setattr(text.baselines, "ngram_loss", None)  # not to be called again
    assert baselines(tokens) == first
    with pytest.raises(TypeError):
        baselines(text.prepare(corpus, tmp_path / "prepared", 0.8))  # another split has other numbers


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"uniform": 1.0}', "NaN", "[" * 100_000, "WRONG"])
def test_a_damaged_cache_is_counted_again(tmp_path, content):
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question\n" * 30)
    tokens = text.prepare(text.find_corpus(str(tmp_path / "text.txt")), tmp_path / "prepared")
    first = baselines(tokens)
    (cache,) = (tmp_path / "prepared").glob("*baselines*")
    wrong = cache.read_text().replace(str(first["bigram"]), "NaN")
    cache.write_text(wrong if content == "WRONG" else content)
    assert baselines(tokens) == first
