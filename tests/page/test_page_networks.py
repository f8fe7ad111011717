"""The page's scripts compute what PyTorch computes: logits, what is looked at inside, and the texts of a seed."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from lightning_gpt.ladder import GPT, NETWORKS, RUNGS, Ensemble, ModernGPT
from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.model import TrainedGPT, keep_top_k, keep_top_p
from lightning_gpt.page.content import Content, Shown
from lightning_gpt.tokens import BPE, Bytes, Characters

CHARACTERS = Characters(map(chr, range(33, 33 + 29)))  # of which 29 is not a multiple of 8
V, T = len(CHARACTERS), 12
SMALL = {"n_layer": 2, "n_head": 2, "n_embd": 12}
OPTIONS = {
    "rotary": False, "qk_norm": False, "squared_relu": False, "embedding_norm": False, "tie_weights": True,
    "conv_width": 0, "softcap": None, "bias": True, "window": 5, "pointer": 6,
}  # fmt: skip


def trained(network, **sizes):
    """A network whose every weight matters, as after training."""
    torch.manual_seed(1)
    wanted = {name: size for name, size in {**SMALL, **sizes}.items() if name in network.size_names()}
    net = network(V, T, **wanted)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.4)
    return TrainedGPT(net.eval(), CHARACTERS)


CASES = {
    **{network.__name__: trained(network) for network in NETWORKS},
    "GPT with biases": trained(GPT, bias=True),
    "GPT with GELU by tanh": trained(GPT, tanh_gelu=True),
    **{f"ModernGPT, {name} {value}": trained(ModernGPT, **{name: value}) for name, value in OPTIONS.items()},
    "ModernGPT, all options turned": trained(ModernGPT, **OPTIONS),
    "ModernGPT, one head": trained(ModernGPT, n_head=1),
    "ModernGPT, window and pointer": trained(ModernGPT, window=5, pointer=6),
    "Ensemble of two, positions learned": trained(Ensemble, n_member=2, rotary=False),
    "Ensemble of two, window and pointer": trained(Ensemble, n_member=2, window=5, pointer=6),
}
LENGTHS = (1, 2, 5, T)
PROMPT = torch.arange(5) * 5 % V


@pytest.fixture(scope="module")
def compute(node):
    """Asks the page's scripts about networks: a page for each, one node for all."""

    def ask(gpts, questions, half=False):
        pages = []
        for gpt in gpts:
            content = Content("title", [Shown(gpt, "network", half=half)], [], "", "", 0)
            pages.append({"plain": content.as_plain(), "weights": content.weights()})
        program = Path(__file__).with_name("compute.mjs")
        asked = json.dumps({"pages": pages, "questions": questions})
        done = subprocess.run([node, program], input=asked, capture_output=True, text=True, timeout=170)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


@pytest.fixture(scope="module")
def answers(compute):
    """Of all networks: logits at all lengths, a greedy text, a seeded one, what is inside."""
    written = {"ids": PROMPT.tolist()}
    kinds = [
        *({"ask": "logits", "ids": [(7 * i + n) % V for i in range(n)]} for n in LENGTHS),
        {"ask": "write", "count": 300, "seed": 0, "temperature": 0, **written},
        {"ask": "write", "count": 100, "seed": 1337, "temperature": 0.8, **written},
        {"ask": "write", "count": 100, "seed": 2**33 + 5, "temperature": 1.3, "topK": 9, "topP": 0.9, **written},
        {"ask": "trace", "ids": list(range(T))},
    ]
    questions = [{"page": page, **kind} for page in range(len(CASES)) for kind in kinds]
    found = compute(CASES.values(), questions)
    return {name: found[i * len(kinds) : (i + 1) * len(kinds)] for i, name in enumerate(CASES)}


@pytest.mark.parametrize("name", CASES)
def test_logits_are_pytorchs(answers, name):
    for n, found in zip(LENGTHS, answers[name], strict=False):
        with torch.no_grad():
            expected = CASES[name].network(torch.tensor([[(7 * i + n) % V for i in range(n)]]))[0]
        torch.testing.assert_close(torch.tensor(found).view(n, V), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("place", "options"),
    [
        (4, {"max_new_tokens": 300, "temperature": 0.0}),
        (5, {"max_new_tokens": 100, "temperature": 0.8, "seed": 1337}),
        (6, {"max_new_tokens": 100, "temperature": 1.3, "top_k": 9, "top_p": 0.9, "seed": 2**33 + 5}),
    ],
    ids=["greedy", "seeded", "with top_k and top_p"],
)
@pytest.mark.parametrize("name", CASES)
def test_texts_are_those_of_generate(answers, name, place, options):
    """The window of 12 slides through all of its positions."""
    prompt = CHARACTERS.decode(PROMPT)
    assert CHARACTERS.decode(answers[name][place]) == CASES[name].generate(prompt, **options)


@pytest.mark.parametrize("name", CASES)
def test_attention_is_that_of_the_maps(answers, name):
    expected = attention_maps(CASES[name].network, torch.arange(T))
    found = answers[name][-1]["attention"]
    assert len(found) == len(expected)
    for layer, maps in zip(found, expected, strict=True):
        seen = torch.tensor(layer).view(len(maps), T, -1)  # (H, T, W): of the last W positions, or of all so far
        for t in range(T):
            first = max(0, t + 1 - seen.shape[-1])
            assert not maps[:, t, :first].any()
            torch.testing.assert_close(seen[:, t, : t + 1 - first], maps[:, t, first : t + 1], atol=1e-5, rtol=1e-4)


def test_a_stage_is_what_the_network_would_say_without_the_blocks_above(answers):
    deep = CASES["ModernGPT"].network
    stages = answers["ModernGPT"][-1]["stages"]
    assert [stage["name"] for stage in stages] == ["the embedding", "block 1", "block 2"]
    shallow = ModernGPT(V, T, **{**SMALL, "n_layer": 1}).eval()
    shallow.load_state_dict({name: w for name, w in deep.state_dict().items() if not name.startswith("blocks.1.")})
    with torch.no_grad():
        expected = shallow(torch.arange(T)[None])[0]
    torch.testing.assert_close(torch.tensor(stages[1]["logits"]).view(T, V), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", ["ModernGPT, pointer 6", "ModernGPT, window and pointer"])
def test_the_last_stage_mixes_in_what_a_pointer_copies(answers, name):
    inside, gpt = answers[name][-1], CASES[name]
    assert [stage["name"] for stage in inside["stages"]] == ["the embedding", "block 1", "block 2", "the pointer"]
    own, mixed = (torch.tensor(stage["logits"]).view(T, V) for stage in inside["stages"][-2:])
    without = ModernGPT(**{**gpt.network.sizes, "pointer": 0}).eval()
    without.load_state_dict({name: w for name, w in gpt.network.state_dict().items() if "pointer" not in name})
    with torch.no_grad():
        torch.testing.assert_close(own, without(torch.arange(T)[None])[0], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(mixed, gpt.network(torch.arange(T)[None])[0], atol=1e-4, rtol=1e-5)
    copied = torch.tensor(inside["copied"]).view(T, T)  # of each position's token, here the position's number
    assert not copied[:, 0].any() and not copied.triu(1).any()  # the first followed none
    expected = (1 - copied.sum(dim=-1, keepdim=True)) * own.softmax(dim=-1)
    expected[:, :T] += copied
    torch.testing.assert_close(mixed.exp(), expected, atol=1e-5, rtol=1e-4)


def test_weights_of_16_bits_are_those_that_pytorch_rounds_to(compute):
    gpt = CASES["GPT"]
    rounded = GPT(V, T, **SMALL).eval()
    rounded.load_state_dict({name: weight.half().float() for name, weight in gpt.network.state_dict().items()})
    (found,) = compute([gpt], [{"ask": "logits", "ids": list(range(T))}], half=True)
    with torch.no_grad():
        expected = rounded(torch.arange(T)[None])[0]
    torch.testing.assert_close(torch.tensor(found).view(T, V), expected, atol=1e-4, rtol=1e-5)


def test_uniform_numbers_are_pytorchs(compute):
    seeds = [0, 1337, 2**32 + 1, 2**63 - 1]
    answers = compute([], [{"ask": "uniform", "seed": str(seed), "count": 700} for seed in seeds])
    for seed, found in zip(seeds, answers, strict=True):  # the state is renewed after 312 of them
        generator = torch.Generator().manual_seed(seed)
        assert found == [torch.rand((), generator=generator, dtype=torch.float64).item() for _ in found]


def test_ties_are_kept_and_cut_as_by_pytorch(compute):
    logits = torch.tensor([2.0, 1.0, 3.0, 1.0, 1.0, -1.0, 3.0, -50.0])
    cases = [(k, p) for k in (1, 3, 5, 100) for p in (1e-9, 0.5, 0.999, 1.0)]
    asked = {"ask": "shares", "logits": logits.tolist(), "temperature": 1}
    for (k, p), found in zip(cases, compute([], [{**asked, "topK": k, "topP": p} for k, p in cases]), strict=True):
        kept = keep_top_k(logits, k)
        expected = (keep_top_p(kept, p) if p < 1 else kept).softmax(dim=-1)
        torch.testing.assert_close(torch.tensor(found, dtype=torch.float32), expected)


class Pairs(Characters):
    """Tokens that are bytes, and not always whole characters."""

    kind = "bytes-of-a-test"
    TOKENS = (b"a", "\ufeff".encode(), "\u00e9".encode()[:1], "\u00e9".encode()[1:], "\U0001f40d".encode(), b"<", b"\n")

    def __init__(self):
        super().__init__("abcdefg")

    def token_bytes(self, token):
        return self.TOKENS[token]


def test_tokens_of_any_bytes_are_decoded_as_they_come(compute):
    gpt = TrainedGPT(GPT(7, T, **SMALL).eval(), Pairs())
    ids = [1, 0, 2, 3, 4, 3, 2, 0, 5, 6]
    decoder = gpt.tokenizer.decoder()
    found, texts = compute([gpt], [{"ask": "decode", "ids": ids}, {"ask": "texts"}])
    assert found == [decoder.feed(token) for token in ids]
    assert texts == [gpt.tokenizer.token_text(token) for token in range(7)]


def test_prompts_are_encoded_and_what_is_unknown_is_named(compute):
    (found,) = compute([CASES["GPT"]], [{"ask": "encode", "text": "9<\u00e9!\U0001f40d\u00e9"}])
    assert found["ids"] == CHARACTERS.encode("9<\u00e9!\U0001f40d\u00e9", "skip").tolist()
    assert found["unknown"] == ["\u00e9", "\U0001f40d"]


TEXTS = [
    "", "a", "  two blanks  and\n\n  lines \t\n", "it's we'll I'd 'twas they've 're 'S", "x=12345, y=-6.7e8; z_0",
    "naïve café ﬁ \u00a0\u3000漢字かな 한글 \ufeff🐍👩‍👩‍👧 e\u0301", "<|end|> a<|end|>b <|end", "\r\n\x00\x7f\x85 ",
    "ab" * 40,
]  # fmt: skip


def learned_bpe():
    """Merges of English and others, and a special token."""
    own = BPE.learn(lambda: iter([Path(__file__).read_text() * 2, "".join(TEXTS) * 3]), 600)
    return BPE([*own.tokens, "<|end|>"], own.merges, ["<|end|>"])


@pytest.mark.parametrize("make", [Bytes, learned_bpe])
def test_prompts_of_bytes_and_bpe_are_encoded_as_by_python(compute, make):
    pytest.importorskip("tokenizers")
    tokenizer = make()
    gpt = TrainedGPT(GPT(len(tokenizer), T, **SMALL).eval(), tokenizer)
    found = compute([gpt], [{"ask": "encode", "text": text} for text in TEXTS])
    for text, answer in zip(TEXTS, found, strict=True):
        assert answer == {"ids": tokenizer.encode(text).tolist(), "unknown": []}, text


def test_every_rung_is_there():
    assert {type(gpt.network) for gpt in CASES.values()} == {*(rung.network for rung in RUNGS), Ensemble}
