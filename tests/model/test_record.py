"""The record of a checkpoint: what it says, and that nothing it says is trusted."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_gpt import UserError
from lightning_gpt.ladder import Bigram, ModernGPT
from lightning_gpt.model import CorpusRecord, Origin, Record, TrainedGPT
from lightning_gpt.model.record import KEY
from lightning_gpt.tokens import Characters

CORPUS = CorpusRecord("book.txt", "texts/book.txt", "0" * 64, 100, 120, 100, 0.9)
RECORD = Record(
    "Bigram",
    {"vocab_size": 3, "block_size": 8},
    Characters("abc"),
    CORPUS,
    (Origin("imported", None, None, 0), Origin("fine-tuned", "book.txt", "0" * 64, 20)),
)


def read(entries):
    return Record.of({KEY: entries, "global_step": 20}, "x.ckpt")


def test_it_is_what_was_written():
    assert read(RECORD.as_dict()) == RECORD
    assert read(replace(RECORD, corpus=None, provenance=()).as_dict()).corpus is None


def test_what_is_younger_than_the_format_may_be_missing():
    entries = RECORD.as_dict()
    del entries["corpus"]["begin"], entries["corpus"]["answer_after"]
    record = read(entries)
    assert record == RECORD and (record.corpus.begin, record.corpus.answer_after) == (None, None)
    assert TrainedGPT(Bigram(3, 8), record.tokenizer, record).begin == "a"


def test_it_is_saved_in_plain_values(tmp_path):
    torch.save(RECORD.as_dict(), tmp_path / "record")
    assert torch.load(tmp_path / "record", weights_only=True) == RECORD.as_dict()


def at(path, value):
    """The record with one entry replaced, or left out if value is MISSING."""
    entries = RECORD.as_dict()
    inside = entries
    for name in path[:-1]:
        inside = inside[name]
    if value is MISSING:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return entries


MISSING = object()
ODD = [
    None, True, -1, 0.5, 2**70, float("nan"), "", "x" * 10**6, [], {}, ["Bigram"], {"a": 1}, b"bytes", torch.zeros(2),
    MISSING,
]  # fmt: skip
PLACES = [
    ("network",), ("sizes",), ("sizes", "vocab_size"), ("tokenizer",), ("tokenizer", "kind"),
    ("tokenizer", "characters"), ("corpus",), ("provenance",), ("provenance", 0), ("provenance", 1, "how"),
    *[("corpus", name) for name in vars(CORPUS)], *[("provenance", 1, name) for name in ("corpus", "sha256", "steps")],
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_whatever_a_field_holds_it_is_read_or_refused_in_a_line(place):
    refused = 0
    for value in ODD:
        try:
            record = read(at(place, value))
        except UserError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 300
        else:
            assert isinstance(record.tokenizer, Characters) and isinstance(record.sizes, dict)
    assert refused >= len(ODD) - 7


@pytest.mark.parametrize(
    "entries",
    [
        at(("corpus", "sha256"), "0" * 63), at(("corpus", "characters"), True), at(("corpus", "train_fraction"), 1.0),
        at(("provenance", 1, "how"), "stolen"), at(("provenance",), [{}] * 2000), at(("sizes", "n_embd"), "8"),
        at(("tokenizer", "characters"), "cba"), at(("network",), "builtins.open"),
    ],
)  # fmt: skip
def test_what_can_not_be_true_is_damage(entries):
    with pytest.raises(UserError, match=r"x.ckpt is damaged: its record of the network can't be read"):
        read(entries)


def test_a_record_from_before_texts_had_encodings_is_read():
    entries = RECORD.as_dict()
    for name in ("split", "encoding", "endings"):
        del entries["corpus"][name]
    assert read(entries) == RECORD


def test_an_option_that_is_younger_than_the_checkpoint_is_off():
    sizes = ModernGPT(3, 8, n_layer=1, n_head=1, n_embd=8).sizes
    entries = replace(RECORD, network="ModernGPT", sizes=sizes).as_dict()
    older = {name: size for name, size in sizes.items() if name not in ("window", "pointer")}
    found = read({**entries, "sizes": older})
    assert found.sizes == sizes and found.sizes["window"] is None and found.sizes["pointer"] == 0


@pytest.mark.parametrize("version", [0, 3, -1, True, 2.0, "2", None, [2], torch.tensor([1, 2])])
def test_another_format_is_named(version):
    with pytest.raises(UserError, match=r"x.ckpt has checkpoint format .*, this version reads 1 to 2"):
        read(at(("format",), version))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.sampled_from(PLACES), plain)
def test_fuzzed_fields(place, value):
    try:
        read(at(place, value))
    except UserError as error:
        assert "\n" not in str(error)


def test_only_the_same_network_and_tokenizer_fit():
    other = {"network": ("GPT", "holds a Bigram, not a GPT"), "tokenizer": (Characters("abd"), "knows 3 characters of")}
    for name, (value, says) in other.items():
        with pytest.raises(UserError, match=says):
            RECORD.must_fit(replace(RECORD, **{name: value}))
    with pytest.raises(UserError, match="block_size is 9, the checkpoint has 8"):
        RECORD.must_fit(replace(RECORD, sizes={"vocab_size": 3, "block_size": 9}))
    RECORD.must_fit(replace(RECORD, corpus=None, provenance=()))


def test_sizes_that_the_weights_do_not_have_are_found_before_memory_is():
    assert RECORD.blueprint(1, 9).block_size == 8
    with pytest.raises(ValueError, match="can't be true"):
        RECORD.blueprint(1, 10)
    with pytest.raises(ValueError, match="can't be true"):
        replace(RECORD, tokenizer=Characters("abcd")).blueprint(1, 9)
    with pytest.raises(ValueError, match="can't be true"):
        replace(RECORD, network="GPT", sizes={**RECORD.sizes, "n_layer": 10**12}).blueprint(27, 10**6)


def test_a_size_that_a_checkpoint_does_not_know_yet_is_the_default(trained):
    contents = torch.load(trained.best, weights_only=True)
    del contents[KEY]["sizes"]["tanh_gelu"]
    assert Record.of(contents, "it").sizes["tanh_gelu"] is False
