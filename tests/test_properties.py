"""What must hold for any text, any logits, any sizes: tried on what hypothesis thinks of."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_gpt import UserError
from lightning_gpt.cli import main
from lightning_gpt.ladder import GPT, ModernGPT
from lightning_gpt.model import Sampling, TrainedGPT, keep_top_k, keep_top_p, next_token
from lightning_gpt.text import IGNORE, HeldOutBlocks, TrainingBlocks
from lightning_gpt.tokens import Characters

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
logits = st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=40).map(lambda row: torch.tensor([row]))
quick = settings(max_examples=100)


@quick
@given(texts)
def test_any_text_comes_back(text):
    tokenizer = Characters(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text and len(ids) == len(text)
    assert ids.max() == len(tokenizer) - 1 and list(tokenizer.characters) == sorted(set(text))


@quick
@given(texts, texts)
def test_an_unknown_character_is_named_or_left_out(known, other):
    tokenizer = Characters(known)
    unknown = [c for c in other if c not in known]
    assert tokenizer.decode(tokenizer.encode(other, "skip")) == "".join(c for c in other if c in known)
    if unknown:
        with pytest.raises(UserError, match=f"U\\+{ord(unknown[0]):04X}"):
            tokenizer.encode(other)


@quick
@given(st.integers(2, 400), st.integers(1, 30), st.integers(1, 4))
def test_every_held_out_target_once(length, block_size, ranks):
    ids = np.arange(length, dtype=np.uint16)
    seen = []
    for rank in range(ranks):
        for x, y in HeldOutBlocks(ids, block_size, rank, ranks):
            real = y != IGNORE
            assert torch.equal(x[real] + 1, y[real])
            seen += y[real].tolist()
    assert sorted(seen) == list(range(1, length))


@quick
@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 8), st.integers(1, 4))
def test_training_blocks_are_windows_and_ranks_share_a_stream(seed, k, block_size, batch_size, ranks):
    ids = np.arange(300, dtype=np.uint16)
    parts = [TrainingBlocks(ids, block_size, batch_size, seed, rank)[k] for rank in range(ranks)]
    x, y = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    assert torch.equal(x + 1, y) and (x.diff(dim=1) == 1).all()
    whole = TrainingBlocks(ids, block_size, batch_size * ranks, seed)[k]
    assert torch.equal(x, whole[0]) and torch.equal(y, whole[1])


@quick
@given(logits, st.integers(1, 50), st.floats(0.01, 1.0))
def test_filters_keep_the_likeliest(row, k, p):
    kept_k, kept_p = keep_top_k(row, k), keep_top_p(row, p)
    for kept in (kept_k, kept_p):
        stays = kept.isfinite()
        assert stays.any() and torch.equal(kept[stays], row[stays])
        assert row[stays].min() >= row[~stays].max() if (~stays).any() else True
    assert kept_k.isfinite().sum() >= min(k, row.shape[-1])
    mass = row.softmax(-1)[kept_p.isfinite()].sum()
    assert mass >= min(p, 1.0) - 1e-5


@quick
@given(logits, st.floats(0, 5), st.integers(1, 50) | st.none(), st.floats(0.01, 1.0) | st.none(), st.integers(0, 2**40))
def test_what_is_drawn_was_allowed(row, temperature, k, p, seed):
    sampling = Sampling(1, temperature, k, p)
    drawn = [next_token(row, sampling, torch.Generator().manual_seed(seed)).item() for _ in range(2)]
    assert drawn[0] == drawn[1] and 0 <= drawn[0] < row.shape[-1]
    if k is not None:
        assert keep_top_k(row, k)[0, drawn[0]].isfinite()


@settings(max_examples=25)
@given(
    st.sampled_from([GPT, ModernGPT]), st.integers(1, 12), st.text("ab\n", min_size=1, max_size=20), st.integers(0, 30),
    st.integers(0, 2**40),
)  # fmt: skip
def test_decoding_writes_as_many_tokens_as_it_should(network, block_size, prompt, n, seed):
    torch.manual_seed(0)
    sizes = {"conv_width": min(4, block_size)} if network is ModernGPT else {}
    gpt = TrainedGPT(network(3, block_size, n_layer=1, n_head=1, n_embd=8, **sizes).eval(), Characters("ab\n"))
    text = gpt.generate(prompt, n, seed=seed)
    assert len(text) == n and set(text) <= set("ab\n") and text == gpt.generate(prompt, n, seed=seed)
    inside = max(0, block_size - min(len(prompt), block_size) + 1)
    assert text[:inside] == gpt.generate(prompt, n, seed=seed, cached=False)[:inside]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=40, max_size=200))
def test_any_unicode_text_trains_and_writes(tmp_path, text):
    text = text.replace("\r", "\n").lstrip("\ufeff") * 4
    (tmp_path / "any.txt").write_bytes(text.encode())
    recipe = [
        "fit", f"--data.corpus={tmp_path}/any.txt", "--model.network=Bigram", "--data.block_size=4",
        "--trainer.max_steps=2", "--trainer.val_check_interval=2", "--trainer.accelerator=cpu",
        "--sample.max_new_tokens=5", f"--runs_dir={tmp_path}/runs", f"--data.data_dir={tmp_path}/data",
    ]  # fmt: skip
    assert main(recipe) == 0
    assert main(["generate", f"--runs_dir={tmp_path}/runs", "--max_new_tokens=20"]) == 0
