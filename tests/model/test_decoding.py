import pytest
import torch

from lightning_gpt import UserError
from lightning_gpt.ladder import GPT, Cache, Ensemble, ModernGPT
from lightning_gpt.model import Sampling, TrainedGPT, decode, decoding, load
from lightning_gpt.model.trained import StopFilter
from lightning_gpt.tokens import Characters


@pytest.fixture(params=[GPT, ModernGPT, Ensemble], ids=lambda n: n.__name__)
def gpt(request):
    torch.manual_seed(0)
    tokenizer = Characters("\n abcdefgh")
    net = request.param(len(tokenizer), 8, n_layer=2, n_head=2, n_embd=16, dropout=0.5)
    for p in net.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return TrainedGPT(net.eval(), tokenizer)


def test_same_seed_same_text(gpt):
    assert gpt.generate("a", 40, seed=1) == gpt.generate("a", 40, seed=1)
    assert gpt.generate("a", 40, seed=1) != gpt.generate("a", 40, seed=2)
    assert len(gpt.generate("a", 40, seed=1)) == 40


def by_hand(gpt, prompt, windows):
    """Greedy, the network reading the last `window` characters each time."""
    text = prompt
    for window in windows:
        logits = gpt.network(gpt.tokenizer.encode(text[-window:])[None])[0, -1]
        text += gpt.tokenizer.characters[int(logits.argmax())]
    return text[len(prompt) :]


def test_without_a_cache_the_network_sees_the_last_block(gpt):
    assert gpt.generate("abc", 20, temperature=0, cached=False) == by_hand(gpt, "abc", [8] * 20)


@pytest.mark.parametrize(("prompt", "first"), [("abc", [3, 4, 5, 6, 7, 8]), ("abcdefghab", [8])])
def test_with_a_cache_it_sees_a_half_to_a_whole_block(gpt, prompt, first):
    windows = (first + [4, 5, 6, 7, 8] * 6)[:30]
    assert gpt.generate(prompt, 30, temperature=0) == by_hand(gpt, prompt, windows)


@pytest.mark.parametrize("seed", range(10))
def test_within_a_block_the_cache_changes_nothing(gpt, seed):
    options = {"max_new_tokens": 6, "temperature": 1.2, "top_k": 7, "seed": seed}
    assert gpt.generate("abc", **options) == gpt.generate("abc", **options, cached=False)


def test_each_character_is_read_once(gpt, monkeypatch):
    read = []

    def counted(forward):
        return lambda ids, *cache: read.append(ids.shape[1]) or forward(ids, *cache)

    monkeypatch.setattr(gpt.network, "forward", counted(gpt.network.forward))
    make = decoding.decode_step
    monkeypatch.setattr(decoding, "decode_step", lambda *args: counted(make(*args)))
    gpt.generate("abc", 16, seed=1)
    assert read == [3, 1, 1, 1, 1, 1, 4, 1, 1, 1, 1, 4, 1, 1, 1, 1]


def test_texts_written_together_are_those_written_alone(gpt):
    together = ["".join(text) for text in zip(*gpt.streams(4, "ab", 30, seed=7), strict=True)]
    assert together == [gpt.generate("ab", 30, seed=7 + i) for i in range(4)]
    stop = together[2][5]
    together = ["".join(text) for text in zip(*gpt.streams(4, "ab", 30, seed=7, stop=stop), strict=True)]
    assert together == [gpt.generate("ab", 30, seed=7 + i, stop=stop) for i in range(4)]
    with pytest.raises(UserError, match="at least 1"):
        gpt.streams(0)


def test_a_block_of_one_character():
    net = GPT(9, 1, n_layer=1, n_head=1, n_embd=8)
    assert len(TrainedGPT(net.eval(), Characters("\n abcdefg")).generate("ab", 10)) == 10


def test_a_long_prompt_counts_by_its_end(gpt):
    assert gpt.generate("hhhhhhhhh abcdefg"[-8:], 10, seed=3) == gpt.generate("hhhhhhhhh abcdefg", 10, seed=3)


def test_a_stream_is_the_text_in_pieces(gpt):
    pieces = list(gpt.stream("a", 30, seed=4))
    assert len(pieces) == 30 and "".join(pieces) == gpt.generate("a", 30, seed=4)


def test_stop_ends_before_the_string(gpt):
    whole = gpt.generate("a", 60, seed=5)
    for stop in (whole[10], whole[10:13], whole[:2], "never"):
        expected = whole.partition(stop)[0]
        assert gpt.generate("a", 60, seed=5, stop=stop) == expected
    assert "".join(gpt.stream("a", 60, seed=5, stop=whole[20:24])) == whole.partition(whole[20:24])[0]


def test_a_stop_that_overlaps_itself():
    for text in ("aab", "aaab", "xaaxaab", "aa", "abab", "ababaab"):
        for stop in ("aab", "aba", "b"):
            ending = StopFilter(stop)
            fed = "".join(map(ending.feed, text))
            assert fed + ending.rest() == text.partition(stop)[0], (text, stop)
            assert ending.reached == (stop in text)


def test_a_stop_inside_longer_pieces():
    for pieces in (["xa", "ab", "y"], ["xaab", "y"], ["x", "aaby"], ["xa", "", "aby"], ["xaa", "xaa", "by"]):
        ending = StopFilter("aab")
        fed = "".join(map(ending.feed, pieces))
        assert fed + ending.rest() == "".join(pieces).partition("aab")[0] and ending.reached


def test_without_a_prompt_the_text_begins_with_a_character_that_there_is():
    net = GPT(2, 8, n_layer=1, n_head=1, n_embd=8).eval()
    gpt = TrainedGPT(net, Characters("AC"))
    assert gpt.generate(max_new_tokens=9, seed=1) == gpt.generate("A", 9, seed=1)
    assert len(TrainedGPT(net, Characters("\nC")).generate(max_new_tokens=9, seed=1)) == 9


def test_saved_and_loaded_it_writes_the_same(gpt, tmp_path):
    gpt.save(tmp_path / "small.ckpt")
    again = load(tmp_path / "small.ckpt")
    assert again.generate("a", 30, seed=3) == gpt.generate("a", 30, seed=3)
    assert again.tokenizer == gpt.tokenizer and again.record == gpt.record
    assert gpt.to("cpu") is gpt and gpt.device.type == "cpu"
    with pytest.raises(UserError, match="no device abacus"):
        gpt.to("abacus")


def test_mode_and_random_state_are_left_as_they_were(gpt):
    state = torch.get_rng_state()
    gpt.network.train()
    trained = gpt.generate("a", 12, seed=6)
    assert gpt.network.training and all(m.training for m in gpt.network.modules())
    stream = gpt.stream("a", 12, seed=6)
    next(stream)
    stream.close()  # a caller that stops early
    assert gpt.network.training
    assert torch.equal(state, torch.get_rng_state())
    gpt.network.eval()
    assert gpt.generate("a", 12, seed=6) == trained  # dropout was off


def test_no_gradient_is_computed(gpt):
    drawn = next(decode(gpt.network, torch.zeros(1, 1, dtype=torch.long), Sampling(1)))
    assert not drawn.requires_grad and all(p.grad is None for p in gpt.network.parameters())


def test_rows_are_written_together(gpt):
    ids = gpt.tokenizer.encode("ab")[None].repeat(3, 1)
    rows = torch.cat(list(decode(gpt.network, ids, Sampling(10, temperature=0))), dim=1)
    assert rows.shape == (3, 10) and (rows == rows[0]).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_new_tokens": -1}, "max_new_tokens must be at least 0, not -1"),
        ({"temperature": -0.1}, "temperature must be 0 .greedy. or above, not -0.1"),
        ({"temperature": float("nan")}, "temperature must be .* not nan"),
        ({"temperature": float("inf")}, "temperature must be .* not inf"),
        ({"top_k": 0}, "top_k must be at least 1, not 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, not 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, not 1.1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": 2**63}, "seed must be a whole number from 0"),
        ({"stop": ""}, "stop must not be empty"),
        ({"prompt": ""}, "nothing to continue"),
        ({"prompt": "Z"}, r"'Z' \(U\+005A\) at position 0"),
    ],
)
def test_bad_options_are_named_before_anything_is_written(gpt, options, says):
    with pytest.raises(UserError, match=says):
        gpt.stream(**{"prompt": "a", "seed": 1, **options})


def test_an_option_that_there_is_not_is_refused(gpt):
    with pytest.raises(TypeError, match="temprature"):
        gpt.generate("a", temprature=0.5)


def test_seeds_of_several_texts_stay_in_range(gpt):
    with pytest.raises(UserError, match="seed must be at most"):
        gpt.streams(2, "a", seed=2**63 - 1)


def test_loss_is_the_slow_windows_mean(gpt):
    text = "abc defgh\nhgfe" * 3
    ids = gpt.tokenizer.encode(text)
    total = 0.0
    for start in range(0, len(ids) - 1, 8):
        y = ids[start + 1 : start + 9]
        logs = gpt.network(ids[start : start + len(y)][None])[0].log_softmax(-1)
        total -= sum(logs[i, int(y[i])].item() for i in range(len(y)))
    assert gpt.loss(text) == pytest.approx(total / (len(text) - 1), abs=1e-6)
    with pytest.raises(UserError, match="two characters"):
        gpt.loss("a")


def test_a_cache_takes_characters_in_any_number(gpt):
    ids = gpt.tokenizer.encode("abcdefgh")[None]
    cache = Cache(8)
    with torch.no_grad():
        parts = [gpt.network(part, cache) for part in ids.split([2, 1, 4, 1], dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), gpt.network(ids))
