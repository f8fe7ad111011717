import math

import numpy as np
import pytest

from lightning_gpt.text.baselines import bigram_loss, uniform_loss, unigram_loss

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
