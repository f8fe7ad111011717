"""The values that the lecture's notebooks print, from this project's own public classes."""

import pytest
import torch
from conftest import drawn_by_multinomial
from torch.nn import functional as F

from lightning_gpt.ladder import (
    Bigram,
    Head,
    LayerNorm,
    LayerNormGPT,
    UnscaledHead,
    causal_average_loops,
    causal_average_matrix,
    causal_average_softmax,
    cross_attention,
    cross_attention_weights,
)

FIRST_BATCH = [
    [24, 43, 58, 5, 57, 1, 46, 43, 39],
    [44, 53, 56, 1, 58, 46, 39, 58, 1],
    [52, 58, 1, 58, 46, 39, 58, 1, 46],
    [25, 17, 27, 10, 0, 21, 1, 54, 39],
]  # x and its last target, seed 1337


def close(actual, printed):
    """To the four decimals that are printed."""
    torch.testing.assert_close(actual.detach(), torch.tensor(printed), atol=6e-5, rtol=0)


AVERAGES = [causal_average_loops, causal_average_matrix, causal_average_softmax]


@pytest.mark.parametrize("average", AVERAGES)
def test_a_triangle_of_weights_averages(average):
    torch.manual_seed(42)
    b = torch.randint(0, 10, (3, 2)).float()
    close(b, [[2.0, 7.0], [6.0, 4.0], [6.0, 5.0]])
    close(average(b[None])[0], [[2.0, 7.0], [4.0, 5.5], [4.6667, 5.3333]])


@pytest.mark.parametrize("average", AVERAGES)
def test_averages_of_the_past(average):
    torch.manual_seed(1337)
    out = average(torch.randn(4, 8, 2))
    first = [
        [0.1808, -0.0700],
        [-0.0894, -0.4926],
        [0.1490, -0.3199],
        [0.3504, -0.2238],
        [0.3525, 0.0545],
        [0.0688, -0.0396],
        [0.0927, -0.0682],
        [-0.0341, 0.1332],
    ]
    close(out[0], first)
    close(out[1:, -1], [[0.2527, 0.2149], [-0.3015, -0.2293], [1.1138, -0.1641]])


@pytest.fixture
def head_and_x():
    torch.manual_seed(1337)
    x = torch.randn(4, 8, 32)
    return UnscaledHead(32, 16), x  # draws key, query, value in this order


def test_weights_of_one_head(head_and_x):
    head, x = head_and_x
    weights = head.attention_weights(x)
    close(weights[0, 1], [0.1574, 0.8426, 0, 0, 0, 0, 0, 0])
    close(weights[0, 7], [0.0210, 0.0843, 0.0555, 0.2297, 0.0573, 0.0709, 0.2423, 0.2391])
    close(weights[1, 7], [0.3650, 0.0474, 0.0767, 0.0293, 0.3084, 0.0784, 0.0455, 0.0493])
    close(weights[2, 4], [0.8359, 0.0416, 0.0525, 0.0580, 0.0119, 0, 0, 0])
    close(weights[3, 6], [0.0522, 0.0517, 0.0961, 0.0375, 0.1024, 0.5730, 0.0872, 0])
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 8))


def test_answer_of_one_head(head_and_x):
    head, x = head_and_x
    out = head(x)
    assert out.shape == (4, 8, 16)
    close(out[0, 0, :4], [-0.1571, 0.8801, 0.1615, -0.7824])
    close(out[0, 7, -4:], [0.2993, -0.1653, -0.0386, 0.3375])


def test_scores_before_the_mask(head_and_x):
    head, x = head_and_x
    close(head.query(x)[0, 0] @ head.key(x)[0].mT, [-1.7629, -1.3011, 0.5652, 2.1616, -1.0674, 1.9632, 1.0765, -0.4530])


def test_the_scale_keeps_the_variance_at_one(head_and_x):
    k, q = torch.randn(4, 8, 16), torch.randn(4, 8, 16)
    close(k.var(), 1.0449)
    close(q.var(), 1.0700)
    close((q @ k.mT).var(), 17.46897)  # about the head size
    close((q @ k.mT * 16**-0.5).var(), 1.0918)


@pytest.mark.parametrize("head_size", [4, 16, 64])
def test_variance_of_scores_is_the_head_size_and_one_when_scaled(head_size):
    torch.manual_seed(0)
    q, k = torch.randn(64, 128, head_size), torch.randn(64, 128, head_size)
    raw = (q @ k.mT).var().item()
    assert raw == pytest.approx(head_size, rel=0.05)
    assert raw * Head(32, head_size).scale ** 2 == pytest.approx(1.0, rel=0.05)


def test_softmax_sharpens_with_size():
    scores = torch.tensor([0.1, -0.2, 0.3, -0.2, 0.5])
    close(scores.softmax(-1), [0.1925, 0.1426, 0.2351, 0.1426, 0.2872])
    close((scores * 8).softmax(-1), [0.0326, 0.0030, 0.1615, 0.0030, 0.8000])


def test_an_encoders_head_sees_all_and_cross_attention_another_text(head_and_x):
    head, x = head_and_x
    assert (cross_attention_weights(head, x, x) > 0).all()
    # the last position, which has no future, sees all in both
    torch.testing.assert_close(cross_attention(head, x, x)[:, -1], head(x)[:, -1])
    source = torch.randn(4, 5, 32)
    assert cross_attention_weights(head, x, source).shape == (4, 8, 5)
    assert cross_attention(head, x, source).shape == (4, 8, 16)


def test_layer_norm_of_the_notebook():
    torch.manual_seed(1337)
    # the notebook divides by C - 1, as `var` does by default; the layer, as torch's, by C
    out = LayerNorm(100)(torch.randn(32, 100)) * (99 / 100) ** 0.5
    close(out[:, 0].mean(), 0.1469)
    close(out[:, 0].std(), 0.8803)
    assert out[0].mean().abs() < 1e-7
    close(out[0].std(), 1.0)


def test_loss_of_the_untrained_bigram():
    batch = torch.tensor(FIRST_BATCH)
    torch.manual_seed(1337)
    logits = Bigram(65, 8)(batch[:, :-1])
    assert logits.shape == (4, 8, 65)
    close(F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()), 4.8786)


def test_the_untrained_bigrams_text():
    batch = torch.tensor(FIRST_BATCH)
    torch.manual_seed(1337)
    net = Bigram(65, 8)
    net(batch[:, :-1])
    drawn = drawn_by_multinomial(net, torch.zeros(1, 1, dtype=torch.long), 100)[0]
    characters = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = "".join(characters[i] for i in drawn)
    # The prompt is the line break that begins the notebook's output. Older notebooks print "Sr?qP-QWktXoL...": an
    # earlier torch.multinomial drew differently from the same probabilities.
    assert text.rstrip("\n") == (
        "SKIcLT;AcELMoTbvZv C?nq-QE33:CJqkOKH-q;:la!oiywkHjgChzbQ?u!3bLIgwevmyFJGUGp\nwnYWmnxKWWev-tDqXErVKLgJ"
    )


def test_parameters_of_the_finished_code():
    net = LayerNormGPT(65, 32, n_embd=64, n_head=4, n_layer=4)
    assert sum(p.numel() for p in net.parameters()) == 209_729
