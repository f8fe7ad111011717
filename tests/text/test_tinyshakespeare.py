"""The lecture's corpus itself: what it must be, and what is drawn from it."""

import numpy as np
import pytest
import torch
from conftest import drawn_by_multinomial
from torch.nn import functional as F

from lightning_gpt import UserError
from lightning_gpt.ladder import Bigram
from lightning_gpt.text import IGNORE, HeldOutBlocks, TrainingBlocks, find_corpus, prepare
from lightning_gpt.text.baselines import bigram_loss


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    try:
        corpus = find_corpus("tinyshakespeare", folder, offline=None)
    except UserError as error:
        pytest.skip(f"Tiny Shakespeare is out of reach: {error}")
    return prepare(corpus, folder / "prepared")


def test_length_characters_and_numbers(tokens):
    assert len(tokens.ids) == 1_115_394 and len(tokens.tokenizer) == 65 and tokens.ids.dtype == np.uint8
    assert tokens.sha256 == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert tokens.tokenizer.encode("hii there").tolist() == [46, 47, 47, 1, 58, 46, 43, 56, 43]
    assert tokens.ids[:9].tolist() == [18, 47, 56, 57, 58, 1, 15, 47, 58]


def test_the_lectures_first_batch(tokens):
    x, y = TrainingBlocks(tokens.ids[:1_003_854], block_size=8, batch_size=4, seed=1337)[0]
    assert x.tolist() == [
        [24, 43, 58, 5, 57, 1, 46, 43],
        [44, 53, 56, 1, 58, 46, 39, 58],
        [52, 58, 1, 58, 46, 39, 58, 1],
        [25, 17, 27, 10, 0, 21, 1, 54],
    ]
    assert y[:, -1].tolist() == [39, 1, 46, 39] and y[:, :-1].tolist() == x[:, 1:].tolist()


@pytest.mark.parametrize("ranks", [1, 3])
def test_every_held_out_target_once(tokens, ranks):
    val = tokens.ids[int(0.9 * len(tokens.ids)) :]
    assert len(val) == 111_540
    batches = [batch for rank in range(ranks) for batch in HeldOutBlocks(val, 64, rank, ranks)]
    assert sum(int((y != IGNORE).sum()) for _, y in batches) == 111_539


def test_what_counting_pairs_achieves(tokens):
    n = int(0.9 * len(tokens.ids))
    assert bigram_loss(tokens.ids[:n], tokens.ids[n:], 65) == pytest.approx(2.482, abs=5e-4)


def test_the_lectures_hundred_steps_and_its_text(tokens):
    """The notebook's cells one after another on one random state: batch, bigram, 100 characters, 100 steps, text."""
    data = torch.from_numpy(tokens.ids[:1_003_854].astype(np.int64))

    def batch(rows):
        blocks = torch.stack([data[i : i + 9] for i in torch.randint(len(data) - 8, (rows,))])
        return blocks[:, :-1], blocks[:, 1:]

    def text(count):
        return tokens.tokenizer.decode(drawn_by_multinomial(net, torch.zeros(1, 1, dtype=torch.long), count)[0])

    torch.manual_seed(1337)
    net = Bigram(65, 8)
    text(100)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for _ in range(100):
        x, y = batch(32)
        loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(4.65630578994751, abs=1e-5)
    assert text(50).startswith("oTo.JUZ!!zqe!\nxBP qbs$Gy'AcOmrLwwt\np$x;Seh-onQb")
