"""Byte-level BPE: any text comes back, however it is cut; what is given is checked before the library sees it."""

import builtins
import json
import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from conftest import TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_gpt import UserError
from lightning_gpt.tokens import BPE, bpe, of_plain, tokenizer_recipe

LEARNED = BPE.learn(lambda: iter([TEXT, "naïve – 月光 don't we'll 12 3½ ²\r\n"]), 400)
SPECIAL = BPE([*LEARNED.tokens, "<|endoftext|>"], LEARNED.merges, ["<|endoftext|>"])
# blanks of all kinds, what Python takes for blanks and the library does not, and the pieces of its pattern of words
odd = st.sampled_from(
    [*" \n\t\r\x0b\x0c\x85\xa0\u2003\u3000\x1c\x1fa'sltdé1²½!-_\x00月😀\u0301", "'ll", "  ", "<|endoftext|>"]
)
texts = st.lists(odd | st.characters(exclude_categories=["Cs"]), max_size=40).map("".join)


@given(texts)
def test_any_text_comes_back(text):
    ids = SPECIAL.encode(text)
    assert SPECIAL.decode(ids) == text
    assert b"".join(map(SPECIAL.token_bytes, ids.tolist())) == text.encode()


@given(texts, st.data())
@settings(max_examples=300)
def test_pieces_do_not_matter_and_the_ids_are_the_librarys(text, data):
    """Its words are split by a pattern that is Oniguruma's; the borders of ours lie where it always splits."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    expected = tokenizers.Tokenizer.from_str(SPECIAL.as_json()).encode(text).ids
    assert SPECIAL.encode(text).tolist() == expected
    assert [i for ids in SPECIAL.encode_pieces(pieces) for i in ids.tolist()] == expected


def test_blanks_are_those_of_the_library():
    splits = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    known = {c for c in map(chr, (*range(0x3100), 0xFEFF, 0xE0020)) if bpe.CROSSED.search(f"!{c}")}
    candidates = {c for c in map(chr, range(0x110000)) if c.isspace()} | set("\u180e\u200b\u2060\ufeff\x1c!a")
    assert known <= candidates
    for blank in candidates:  # two of them are one word, and join neither what is before nor what is after
        words = splits.pre_tokenize_str(f"!{blank}{blank}{blank}a")
        borders = [start for _, (start, _) in words]
        assert (1 in borders and borders[-1] in (3, 4) and 2 not in borders) == (blank in known), ascii(blank)


def test_what_has_no_blank_is_cut_all_the_same(monkeypatch):
    """Memory stays bounded, pieces do not matter, and the text comes back."""
    monkeypatch.setattr(bpe, "STRETCH", bpe.re.compile(bpe.STRETCH.pattern.replace("65536", "8")))
    text = "x" * 50 + " " * 30 + "\u3000y" * 10 + "Rough winds do shake the darling buds of May,\n" * 3
    expected = [i for ids in BPE(LEARNED.tokens, LEARNED.merges).encode_pieces([text]) for i in ids.tolist()]
    assert LEARNED.decode(expected) == text
    for size in (1, 3, 7, 8, 9, 40):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        lists = list(bpe._stretches(pieces))
        assert max(len(stretch) for stretches in lists for stretch in stretches) <= 16
        ids = BPE(LEARNED.tokens, LEARNED.merges).encode_pieces(pieces)
        assert [i for part in ids for i in part.tolist()] == expected


def test_what_is_remembered_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(bpe, "MOST_REMEMBERED", 5000)
    forgetful = BPE(LEARNED.tokens, LEARNED.merges)
    pieces = [TEXT[i : i + 500] for i in range(0, 8000, 500)]
    ids = np.concatenate(list(forgetful.encode_pieces(pieces)))
    assert ids.tolist() == LEARNED.encode(TEXT[:8000]).tolist()
    assert len(forgetful._remembered) < 60


def test_learning_is_the_same_in_every_process():
    code = f"from lightning_gpt.tokens import BPE; print(BPE.learn(lambda: iter([{TEXT!r}]), 330).merges)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == str(BPE.learn(lambda: iter([TEXT[:77], TEXT[77:]]), 330).merges)


def test_of_a_long_text_some_pieces_are_looked_at(monkeypatch):
    monkeypatch.setattr(bpe, "MOST_LEARNED", 1000)
    read = []

    def text():
        for piece in ["abab " * 50, "cdcd " * 50] * 8:
            read.append(piece)
            yield piece

    tokens = BPE.learn(text, 300).tokens[256:]  # 4,000 characters: every fourth piece, all of one kind
    assert "ab" in tokens and "cd" not in tokens and len(read) == 32


def test_a_short_text_gives_fewer_tokens_than_were_asked_for():
    assert 256 < len(BPE.learn(lambda: iter(["banana banana"]), 5000)) < 300
    assert len(BPE.learn(lambda: iter([""]), 300)) == 256


def test_there_are_all_256_bytes_and_512_tokens_if_nobody_says():
    assert tokenizer_recipe("bpe").size == 512
    assert sorted(LEARNED.token_bytes(i) for i in range(256)) == [bytes([byte]) for byte in range(256)]


def test_plain_values_and_a_file_make_it_again(tmp_path):
    for one in (LEARNED, SPECIAL):
        assert of_plain(json.loads(json.dumps(one.as_plain()))) == one
        (tmp_path / "tokenizer.json").write_text(one.as_json())
        assert tokenizer_recipe(str(tmp_path / "tokenizer.json")).learn(lambda: iter([])) == one
    assert LEARNED != SPECIAL


def test_a_special_token_is_its_text():
    ids = SPECIAL.encode("May<|endoftext|> May").tolist()
    assert ids.count(len(LEARNED)) == 1 and SPECIAL.token_bytes(len(LEARNED)) == b"<|endoftext|>"
    assert SPECIAL.decode(ids) == "May<|endoftext|> May"


def gpt2s_own(change=lambda plain: None):
    """A tokenizer.json as GPT-2's was written: merges as texts, no type, options left out."""
    plain = json.loads(SPECIAL.as_json())
    plain["model"]["merges"] = [" ".join(merge) for merge in plain["model"]["merges"]]
    del plain["model"]["type"], plain["pre_tokenizer"]["use_regex"]
    plain["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}
    plain["model"] |= {"continuing_subword_prefix": "", "end_of_word_suffix": "", "unk_token": "<|endoftext|>"}
    change(plain)
    return json.dumps(plain)


def test_an_old_file_is_read():
    assert BPE.of_json(gpt2s_own()) == SPECIAL


def test_added_tokens_that_the_vocabulary_lacks_come_after_it():
    def added(plain):
        plain["added_tokens"].append({"id": len(SPECIAL), "content": "<|pad|>", "special": True})

    assert BPE.of_json(gpt2s_own(added)).tokens == [*SPECIAL.tokens, "<|pad|>"]


def put(*path, value):
    def change(plain):
        for name in path[:-1]:
            plain = plain[name]
        plain[path[-1]] = value

    return change


def drop(token):
    return lambda plain: plain["model"]["vocab"].pop(token)


REFUSED = [
    (put("model", value={"type": "WordPiece", "vocab": {}}), "it is WordPiece, not byte-level BPE"),
    (put("model", value={"type": "Unigram", "vocab": []}), "it is Unigram, not byte-level BPE"),
    (put("model", value={"vocab": {}}), "it is none, not byte-level BPE"),
    (put("model", value=None), "it has no model"),
    (put("normalizer", value={"type": "NFC"}), "its normalizer NFC changes texts"),
    (put("pre_tokenizer", value={"type": "Metaspace"}), "it splits texts by Metaspace, not by ByteLevel"),
    (put("pre_tokenizer", value=None), "it splits texts by none"),
    (put("pre_tokenizer", "add_prefix_space", value=True), "puts a blank before a text"),
    (put("pre_tokenizer", "use_regex", value=False), "does not split texts into words"),
    (
        put("post_processor", value={"type": "TemplateProcessing"}),
        "its post_processor TemplateProcessing adds to texts",
    ),
    (put("decoder", value={"type": "BPEDecoder"}), "its decoder BPEDecoder adds to texts"),
    (put("model", "dropout", value=0.1), "its dropout is not null"),
    (put("model", "ignore_merges", value=True), "its ignore_merges is not null"),
    (put("model", "end_of_word_suffix", value="</w>"), "its end_of_word_suffix is not null"),
    (put("model", "vocab", value=[]), "its vocabulary or its merges are missing"),
    (put("model", "vocab", "a", value=7000), "its ids are not those from 0 to 345"),
    (put("model", "vocab", "a", value="7"), "its ids are not those from 0 to 345"),
    (put("model", "merges", value=["a"]), "its merge 'a' is not of its tokens"),
    (put("model", "merges", value=["a 月"]), "its merge 'a 月' is not of its tokens"),
    (put("model", "merges", value=[["a", "b", "c"]]), "its merge 'a b c' is not of its tokens"),
    (put("model", "merges", value=[7]), "its tokens are no texts"),
    (put("added_tokens", 0, "lstrip", value=True), "its added token '<|endoftext|>' has lstrip"),
    (put("added_tokens", 0, "id", value=3), "has another id in its vocabulary"),
    (put("added_tokens", 0, "content", value=None), "one of its added tokens has no text"),
    (put("added_tokens", value={"a": 1}), "its added tokens are no list"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, change, says):
    path = tmp_path / "tokenizer.json"
    path.write_text(gpt2s_own(change))
    with pytest.raises(UserError) as refused:
        BPE.read(path)
    assert says in str(refused.value) and str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_that_can_not_spell_every_byte_is_refused():
    def change(plain):
        vocabulary = plain["model"]["vocab"]
        plain["model"]["merges"] = []
        plain["added_tokens"] = []
        kept = [token for token in vocabulary if len(token) == 1 and token not in "ab"]
        plain["model"]["vocab"] = {token: place for place, token in enumerate(kept)}

    with pytest.raises(ValueError, match="can't spell 2 of the 256 bytes"):
        BPE.of_json(gpt2s_own(change))


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"null", b"[]", b"7", b"[" * 100_000, b"{", b'{"model": []}', b"1" * 9999]
)
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=r"is no tokenizer that can be used here: .") as refused:
        BPE.read(tmp_path / "tokenizer.json")
    assert len(str(refused.value)) < 400


def test_a_huge_file_is_not_read(tmp_path):
    with open(tmp_path / "tokenizer.json", "wb") as file:
        file.truncate(bpe.MOST_READ + 1)
    with pytest.raises(UserError, match="that is no tokenizer"):
        BPE.read(tmp_path / "tokenizer.json")


PLAIN = SPECIAL.as_plain()


@pytest.mark.parametrize(
    "changed",
    [
        {"tokens": None}, {"tokens": "abc"}, {"tokens": []}, {"tokens": [*PLAIN["tokens"], 7]}, {"merges": {}},
        {"tokens": [*PLAIN["tokens"], PLAIN["tokens"][0]]}, {"tokens": [*PLAIN["tokens"], ""]},
        {"tokens": [*PLAIN["tokens"], "a b"]}, {"tokens": [*PLAIN["tokens"], "月"]}, {"tokens": PLAIN["tokens"][1:]},
        {"merges": [None]}, {"merges": ["ab"]}, {"merges": ["a "]}, {"merges": [*PLAIN["merges"], PLAIN["merges"][0]]},
        {"merges": ["a b c"]}, {"special": ["no token"]}, {"special": [[]]}, {"special": ["<|endoftext|>"] * 2},
        {"tokens": [*PLAIN["tokens"], "a b"], "special": ["a b"]},
        {"tokens": [*PLAIN["tokens"], "a\ud800"], "special": ["a\ud800"]},
        {"tokens": PLAIN["tokens"] * 2000},
    ],
)  # fmt: skip
def test_plain_values_are_not_trusted(changed):
    with pytest.raises(ValueError, match=r"."):
        of_plain({**PLAIN, **changed})


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    own = builtins.__import__

    def missing(name, *args, **more):
        if name == "tokenizers":
            raise ImportError(name)
        return own(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    again = of_plain(PLAIN)
    assert again.decode(LEARNED.encode(TEXT[:50])) == TEXT[:50]  # reading needs none
    with pytest.raises(
        UserError, match=r"need the package tokenizers, .*pip install -c constraints.txt -e '\.\[bpe\]'"
    ):
        again.encode("May")
