import numpy as np
import pytest
from conftest import TINY

from lightning_gpt.commands.compare import difference, quantile, verdict


@pytest.mark.parametrize(("degrees", "t"), [(5, 2.571), (10, 2.228), (30, 2.042), (1000, 1.962)])
def test_quantiles_of_the_tables(degrees, t):
    assert quantile(degrees) == pytest.approx(t, abs=4e-3)


def test_of_whole_blocks_it_is_the_paired_t_interval():
    generator = np.random.default_rng(0)
    a, b = generator.exponential(size=640), generator.exponential(size=640)
    means = (b - a).reshape(40, 16).mean(axis=1)
    found = difference(a, b, 16)
    assert found.mean == pytest.approx(means.mean())
    assert found.margin == pytest.approx(quantile(39) * means.std(ddof=1) / 40**0.5)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        shared = np.repeat(generator.normal(size=50), 20)  # neighbours are alike
        a, b = generator.normal(size=1000), 0.3 + 0.5 * shared + generator.normal(size=1000)
        found = difference(a, b, 20, generator.random(1000) < 0.3)
        held += abs(found.mean - 0.3) <= found.margin
    assert 925 <= held <= 975  # 950 expected, deviation 7


def test_words():
    a = np.full(400, 2.0)
    assert "say the same" in verdict(difference(a, a, 10))
    assert "B is better than A, and that is real" in verdict(difference(a, a - 0.1, 10))
    assert "A is better than B" in verdict(difference(a, a + 0.1, 10))
    noise = np.random.default_rng(2).normal(size=400)
    assert "No difference can be told" in verdict(difference(a, a + noise, 10))
    assert "too few" in verdict(difference(a[:50], a[:50] - 0.1, 10))


def test_what_stands_in_few_blocks_is_not_called_real():
    a, chosen = np.full(400, 2.0), np.zeros(400, dtype=bool)
    chosen[105:108] = True
    found = difference(a, a - 0.5, 10, chosen)
    assert found.blocks == 1 and found.margin == 0 and not found.real


def test_two_checkpoints(trained):
    out = trained("compare", "best", trained.last).stdout  # a short text: one block
    assert "too few to tell" in out
    loss = trained.log.stdout.split("best val/loss ")[1].split()[0]
    assert f"A  {loss} nats" in out and "B - A" in out
    assert all(kind in out for kind in ("lower case", "upper case", "space", "line break", "punctuation"))


def test_what_can_not_be_compared(shell, trained):
    (shell.folder / "other.txt").write_text("Now is the winter of our discontent\n" * 200)
    shell("fit", "--data.corpus=other.txt", *TINY, "--trainer.max_steps=10")
    assert "not the same text" in shell("compare", "best", trained.best, status=2).stderr
    shell("fit", "--data.corpus=other.txt", *TINY, "--data.train_fraction=0.8", "--name=half")
    first = shell.folder / "runs/gpt/version_0/checkpoints/best.ckpt"
    assert "do not hold out the same part" in shell("compare", "best", first, status=2).stderr
    assert "no checkpoint at" in shell("compare", "best", "nothing.ckpt", status=2).stderr
    assert "required" in shell("compare", "best", status=2).stderr
