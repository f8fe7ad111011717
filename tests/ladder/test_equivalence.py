"""Each rung is the rung below it when its one idea is taken out; the fast forms are the slow ones."""

import pytest
import torch
from torch import nn

from lightning_gpt.ladder import (
    GPT,
    Averaging,
    CausalSelfAttention,
    LayerNorm,
    LayerNormGPT,
    ModernGPT,
    MultiHeadAttention,
    MultiHeadGPT,
    ProjectedAttention,
    ResidualGPT,
    SingleHeadGPT,
    causal_average_loops,
    causal_average_matrix,
    causal_average_softmax,
)
from lightning_gpt.ladder.kernels import rotate
from lightning_gpt.ladder.rung8b_gpt import GPTAttention
from lightning_gpt.ladder.rung9_modern import ShortConvolution, VariationalDropout

V, T, C = 11, 8, 32


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def copy_shared(source, target):
    """Every parameter that both have, from one to the other."""
    theirs = dict(source.named_parameters())
    for name, p in target.named_parameters():
        if name in theirs:
            p.data.copy_(theirs[name].data)


def test_three_forms_of_the_average_agree():
    x = torch.randn(4, T, 2)
    slow = causal_average_loops(x)
    torch.testing.assert_close(causal_average_matrix(x), slow, atol=1e-6, rtol=0)
    torch.testing.assert_close(causal_average_softmax(x), slow, atol=1e-6, rtol=0)


@pytest.mark.parametrize("silent", ["query", "key"])
def test_rung_3_with_zero_queries_or_keys_is_rung_2(silent):
    two, three = Averaging(V, T, n_embd=C), SingleHeadGPT(V, T, n_embd=C)
    copy_shared(two, three)
    nn.init.zeros_(getattr(three.head, silent).weight)
    nn.init.eye_(three.head.value.weight)  # rung 2 averages what it has, not a projection of it
    ids = torch.randint(V, (3, T))
    torch.testing.assert_close(three(ids), two(ids), atol=1e-6, rtol=1e-5)


def test_rung_4_with_one_head_is_rung_3():
    three, four = SingleHeadGPT(V, T, n_embd=C), MultiHeadGPT(V, T, n_embd=C, n_head=1)
    copy_shared(three, four)
    four.attention.heads[0].load_state_dict(three.head.state_dict())
    ids = torch.randint(V, (3, T))
    torch.testing.assert_close(four(ids), three(ids), atol=0, rtol=0)


def test_rung_6s_attention_with_an_identity_for_its_projection_is_rung_4s():
    four, six = MultiHeadAttention(C, 4), ProjectedAttention(C, 4)
    copy_shared(four, six)
    nn.init.eye_(six.projection.weight)
    nn.init.zeros_(six.projection.bias)
    x = torch.randn(3, T, C)
    torch.testing.assert_close(six(x), four(x), atol=1e-6, rtol=1e-5)


def test_rung_7_without_its_norms_is_rung_6():
    six, seven = ResidualGPT(V, T, n_embd=C), LayerNormGPT(V, T, n_embd=C)
    copy_shared(six, seven)
    seven.norm = nn.Identity()
    for block in seven.blocks:
        block.norm1 = block.norm2 = nn.Identity()
    ids = torch.randint(V, (3, T))
    torch.testing.assert_close(seven(ids), six(ids), atol=0, rtol=0)


@pytest.mark.parametrize("n_head", [1, 4])
def test_fused_heads_of_rung_8_are_the_separate_heads_of_rung_4(n_head):
    slow = ProjectedAttention(C, n_head)
    fast = CausalSelfAttention(C, n_head)
    for i, part in enumerate(("query", "key", "value")):
        rows = torch.cat([getattr(head, part).weight for head in slow.heads])  # (C, C), head after head
        fast.qkv.weight.data[i * C : (i + 1) * C] = rows.data
    nn.init.zeros_(fast.qkv.bias)
    fast.projection.load_state_dict(slow.projection.state_dict())
    x = torch.randn(3, T, C)
    left, right = x.clone().requires_grad_(), x.clone().requires_grad_()
    # two orders of summing the same fp32 products
    torch.testing.assert_close(fast(left), slow(right), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(fast.attention_weights(x), slow.attention_weights(x), atol=1e-6, rtol=1e-5)
    fast(left).square().sum().backward()
    slow(right).square().sum().backward()
    torch.testing.assert_close(left.grad, right.grad, atol=1e-5, rtol=1e-4)
    for i, part in enumerate(("query", "key", "value")):
        rows = torch.cat([getattr(head, part).weight.grad for head in slow.heads])
        torch.testing.assert_close(fast.qkv.weight.grad[i * C : (i + 1) * C], rows, atol=1e-5, rtol=1e-4)


def test_rung_8bs_attention_without_dropout_and_cache_is_rung_8as():
    plain, trained = CausalSelfAttention(C, 4), GPTAttention(C, 4, bias=True, dropout=0.5).eval()
    trained.load_state_dict(plain.state_dict())
    x = torch.randn(3, T, C)
    assert torch.equal(trained(x), plain(x))
    assert not torch.equal(trained.train()(x), plain(x))


OPTIONS_OFF = {
    "rotary": False,
    "qk_norm": False,
    "variational_dropout": False,
    "squared_relu": False,
    "zero_init": False,
    "embedding_norm": False,
    "tie_weights": True,
    "conv_width": 0,
    "softcap": None,
}


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("bias", [False, True])
def test_rung_9_with_every_option_off_is_rung_8(dropout, bias):
    torch.manual_seed(5)
    eight = GPT(V, T, n_embd=C, dropout=dropout, bias=bias)
    torch.manual_seed(5)
    nine = ModernGPT(V, T, n_embd=C, dropout=dropout, bias=bias, **OPTIONS_OFF)
    assert eight.state_dict().keys() == nine.state_dict().keys()
    assert all(torch.equal(p, q) for p, q in zip(eight.parameters(), nine.parameters(), strict=True))
    ids = torch.randint(V, (3, T))
    torch.manual_seed(6)
    expected = eight(ids)
    torch.manual_seed(6)
    torch.testing.assert_close(nine(ids), expected, atol=0, rtol=0)


@pytest.mark.parametrize("option", [option for option in OPTIONS_OFF if option != "variational_dropout"])
def test_each_option_of_rung_9_does_something(option):
    torch.manual_seed(5)
    plain = ModernGPT(V, T, n_embd=C, **OPTIONS_OFF)
    torch.manual_seed(5)
    on = {**OPTIONS_OFF, option: {"softcap": 2.0, "conv_width": 4, "tie_weights": False}.get(option, True)}
    changed = ModernGPT(V, T, n_embd=C, **on)
    if changed.convolution:
        nn.init.ones_(changed.convolution.weight)  # it starts as the identity
    ids = torch.randint(V, (3, T))
    assert not torch.equal(plain(ids), changed(ids))


def test_rotated_scores_depend_on_distance_alone():
    q, k = torch.randn(16), torch.randn(16)
    turned_q, turned_k = rotate(q.expand(1, 1, T, 16)), rotate(k.expand(1, 1, T, 16))
    scores = (turned_q @ turned_k.mT)[0, 0]  # (T, T)
    for distance in range(-T + 1, T):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)


def test_variational_dropout_drops_channels_of_whole_texts():
    x = torch.ones(50, T, C)
    dropped = VariationalDropout(0.25)(x)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert dropped[:, 0].ne(0).float().mean() == pytest.approx(0.75, abs=0.05)  # 1,600 draws: 0.01 is a deviation
    assert torch.equal(VariationalDropout(0.25).eval()(x), x)


def test_the_short_convolution_is_torchs():
    mine = ShortConvolution(C, 4)
    nn.init.normal_(mine.weight)
    x = torch.randn(3, T, C)
    padded = nn.functional.pad(x.mT, (3, 0))
    theirs = nn.functional.conv1d(padded, mine.weight.flip(0).T[:, None], groups=C).mT
    torch.testing.assert_close(mine(x), x + theirs)


@pytest.mark.parametrize("shape", [(5, C), (3, T, C)])
def test_layer_norm_is_torchs_in_value_and_gradient(shape):
    mine, theirs = LayerNorm(C), nn.LayerNorm(C)
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        q.data = p.data = torch.randn(C)
    x = 3 * torch.randn(shape) + 1
    left, right = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.testing.assert_close(mine(left), theirs(right), atol=1e-5, rtol=1e-5)
    (mine(left) ** 3).sum().backward()
    (theirs(right) ** 3).sum().backward()
    torch.testing.assert_close(left.grad, right.grad, atol=1e-3, rtol=1e-4)  # of cubes: the terms are large
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, atol=1e-2, rtol=1e-4)
