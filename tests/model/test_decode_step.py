"""The decode step and packed weights against the network's own forward pass."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lightning_gpt.ladder import GPT, Cache, Ensemble, ModernGPT
from lightning_gpt.model import Sampling, TrainedGPT, decode, for_decoding
from lightning_gpt.model.decode_step import DecodeStep, EnsembleStep, decode_step, exact_gelu
from lightning_gpt.model.decoding import bytes_per_text
from lightning_gpt.model.packed import PackedLinear, packable, packed
from lightning_gpt.tokens import Characters

T, V = 8, 11  # block size, vocabulary
POINTED = {"pointer": 6, "window": 3}
on_off = st.booleans()
options = st.fixed_dictionaries(
    {
        "rotary": on_off, "qk_norm": on_off, "squared_relu": on_off, "embedding_norm": on_off, "tie_weights": on_off,
        "conv_width": st.sampled_from([0, 1, 4, T]), "softcap": st.sampled_from([None, 15.0]),
        "bias": on_off, "tanh_gelu": on_off, "window": st.sampled_from([None, 1, 3, T + 1]),
        "pointer": st.sampled_from([0, 6]),
    }
)  # fmt: skip


def randomised(kind, **sizes):
    """A network in which nothing is 0 or 1."""
    torch.manual_seed(0)
    network = kind(V, T, **{"n_layer": 2, "n_head": 2, "n_embd": 16, "dropout": 0.5, **sizes}).eval()
    for weight in network.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    return network


@torch.inference_mode()
def compare(network, one_by_one, rows, tolerance=1e-5):
    """Reads two tokens at once, and then one by one to the end of the block, with both of them."""
    ids = torch.randint(V, (rows, T))
    cache, own = Cache(T), Cache(T)
    one_by_one.prefill(ids[:, :2], cache), network.forward(ids[:, :2], own)
    for t in range(2, T):
        logits = one_by_one.step(ids[:, t : t + 1], cache)
        expected = network.forward(ids[:, t : t + 1], own)
        assert logits.shape == (rows, 1, V) and cache.length == own.length == t + 1
        torch.testing.assert_close(logits, expected, rtol=tolerance, atol=tolerance)


class Reading:
    def __init__(self, prefill, step):
        self.prefill, self.step = prefill, step


@given(options)
def test_the_step_is_rung_9s_forward(chosen):
    network = randomised(ModernGPT, **chosen)
    step = decode_step(network, 1)
    assert isinstance(step, DecodeStep)
    compare(network, Reading(network.forward, step), 1)


def test_gelu_is_pytorchs():
    x = torch.linspace(-9, 9, 10_001)
    exact = F.gelu(x.double()).float()
    torch.testing.assert_close(torch.from_numpy(exact_gelu(x.numpy())), exact, rtol=0, atol=1e-6)


@given(bias=on_off, tanh_gelu=on_off, laid_out=on_off)
def test_the_step_is_rung_8s_forward(bias, tanh_gelu, laid_out):
    network = randomised(GPT, bias=bias, tanh_gelu=tanh_gelu)
    if laid_out:
        for_decoding(network)
    compare(network, Reading(network.forward, decode_step(network, 1)), 1)


@pytest.mark.parametrize("sizes", [{}, POINTED], ids=str)
def test_the_step_of_an_ensemble_averages_probabilities(sizes):
    network = randomised(Ensemble, n_member=3, **sizes)
    step = decode_step(network, 1)
    assert isinstance(step, EnsembleStep)
    compare(network, Reading(network.forward, step), 1)


def test_the_step_reads_from_the_first_position_on():
    network = randomised(ModernGPT)
    cache, own, ids = Cache(T), Cache(T), torch.randint(V, (1, 2))
    with torch.inference_mode():
        network.forward(ids[:, :1], cache)
        network.forward(ids[:, :1], own)
        found = decode_step(network, 1)(ids[:, 1:], cache)
        torch.testing.assert_close(found, network.forward(ids[:, 1:], own))


def test_one_step_goes_from_cache_to_cache():
    network = randomised(ModernGPT)
    step = decode_step(network, 1)
    for _ in range(2):
        compare(network, Reading(network.forward, step), 1)


def test_the_step_sees_weights_that_were_changed_in_place():
    network = randomised(GPT)
    step = decode_step(network, 1)
    for weight in network.parameters():
        weight.data *= 1.5
    compare(network, Reading(network.forward, step), 1)


@pytest.mark.parametrize("kind", [GPT, ModernGPT, Ensemble], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("bias", [False, True])
def test_packed_weights_change_nothing(kind, bias):
    network = randomised(kind, bias=bias, **({} if kind is GPT else POINTED))
    assert packable(network)
    twin = packed(network.train(), 5)
    assert network.training and not any(module.training for module in twin.modules())
    layers = [module for module in twin.modules() if isinstance(module, PackedLinear)]
    used = []
    for layer in layers:
        layer.register_forward_hook(lambda module, *_: used.append(module))
    assert not any(isinstance(module, PackedLinear) for module in network.modules())
    assert {id(p) for p in twin.embedding().parameters()} == {id(p) for p in network.embedding().parameters()}
    compare(network.eval(), Reading(twin.forward, twin.forward), 5)
    assert layers and set(used) == set(layers)


def test_nothing_is_packed_in_bf16_where_the_processor_can_t(monkeypatch):
    network = randomised(ModernGPT)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert packable(network) and not packable(network, torch.bfloat16)
    ids = torch.randint(V, (2, 3))
    assert len(list(decode(network, ids, Sampling(5, bf16=True)))) == 5


def test_a_text_takes_the_memory_in_which_a_pointer_compares():
    without, pointed = (bytes_per_text(ModernGPT(V, 512, n_layer=1, n_head=1, n_embd=8, pointer=x)) for x in (0, 6))
    assert pointed - without >= 2 * 4 * 512**2  # scores and weights, in fp32


def test_packed_in_bf16_it_is_nearly_the_same_network():
    network = randomised(ModernGPT)
    twin = packed(network, 1, torch.bfloat16)
    compare(network, Reading(twin.forward, twin.forward), 1, tolerance=0.05)
    with pytest.raises(AssertionError):
        compare(network, Reading(twin.forward, twin.forward), 1)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [(GPT, {}), (ModernGPT, {}), (Ensemble, {}), (ModernGPT, POINTED), (Ensemble, POINTED)],
    ids=lambda x: x.__name__ if isinstance(x, type) else "pointed" if x else "",
)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_text_is_the_same_with_and_without_it(kind, sizes, rows):
    network = randomised(kind, **sizes)
    for seed in range(20):
        ids = torch.randint(V, (rows, 2))
        texts = [
            torch.cat(
                list(decode(network, ids, Sampling(T - 2, cached=cached), torch.Generator().manual_seed(seed))), 1
            )
            for cached in (True, False)
        ]
        assert torch.equal(*texts)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("is_packable", [False, True])
def test_bf16_writes_a_text_wherever_it_is_computed(rows, cached, is_packable, monkeypatch):
    monkeypatch.setattr("lightning_gpt.model.decoding.packable", lambda *_: is_packable)
    gpt = TrainedGPT(randomised(ModernGPT), Characters("\nabcdefghij"))
    pieces = list(gpt.streams(rows, "a", 20, seed=1, bf16=True, cached=cached))
    assert len(pieces) == 21 and all(len(column) == rows for column in pieces)


def test_a_network_in_bf16_writes_a_text_too():
    gpt = TrainedGPT(randomised(ModernGPT).bfloat16(), Characters("\nabcdefghij"))
    assert len(gpt.generate("a", 20, seed=1)) == 20
    assert len(list(gpt.streams(2, "a", 20, seed=1))) == 21


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_network_that_has_diverged_writes_without_a_warning(value):
    network = randomised(ModernGPT)
    for weight in network.parameters():
        weight.data.fill_(value)
    ids = torch.zeros(1, 1, dtype=torch.long)
    for sampling in (Sampling(3), Sampling(3, temperature=0), Sampling(3, top_k=2, top_p=0.5)):
        drawn = torch.cat(list(decode(network, ids, sampling)))
        assert drawn.shape == (3, 1) and (drawn >= 0).all() and (drawn < V).all()
