"""Where the held-out text begins: at a character, or between two files; the same for every tokenizer."""

import numpy as np
import pytest

from lightning_gpt import UserError
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.text.baselines import baselines
from lightning_gpt.text.split import Split
from lightning_gpt.tokens import TOKENIZERS, Characters, tokenizer_recipe


@pytest.mark.parametrize(
    ("lengths", "fraction", "place"),
    [
        ([10, 10, 10, 10], 0.5, (20, 2)), ([10, 10, 10, 10], 0.9, (30, 1)), ([10, 10, 10, 10], 0.01, (10, 3)),
        ([80, 15, 5], 0.9, (95, 1)), ([84, 15, 1], 0.9, (84, 2)), ([1, 98, 1], 0.9, (99, 1)),
        ([10, 0, 10], 0.5, (10, 2)), ([0, 10, 10, 0], 0.9, (10, 2)), ([10, 20, 10], 0.5, (10, 2)),
    ],
)  # fmt: skip
def test_whole_files_are_held_out_nearest_to_the_share(lengths, fraction, place):
    assert Split(fraction, "files").place(lengths, "x") == place


@pytest.mark.parametrize(("lengths", "has"), [([10], 1), ([10, 0, 0], 1), ([0, 10], 1)])
def test_two_files_with_text_are_needed(lengths, has):
    with pytest.raises(UserError, match=rf"x has {has}: leave it out"):
        Split(0.9, "files").place(lengths, "x")


@pytest.mark.parametrize(
    ("fraction", "by"), [(0.0, "files"), (1.0, "characters"), (float("nan"), "files"), (0.5, "line")]
)
def test_no_such_split(fraction, by):
    with pytest.raises(UserError, match=r"data.train_fraction must lie between|data.split must be"):
        Split(fraction, by)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "texts").mkdir()
    for name, text in {"a": "aé" * 50, "b": "b\r\n" * 40, "c": "c" * 30, "d": "d" * 30}.items():
        (tmp_path / "texts" / f"{name}.txt").write_bytes(text.encode())
    return tmp_path


def split(folder, fraction=0.9, by="files"):
    return prepare(find_corpus(str(folder / "texts")), folder / "prepared", fraction, split=by)


def held_out(tokens):
    return tokens.tokenizer.decode(np.asarray(tokens.val_ids))


def test_no_file_is_read_in_part_and_held_out_in_part(folder):
    tokens = split(folder)  # 101 + 80 + 31 + 30 characters
    assert held_out(tokens) == "d" * 30 and tokens.remarks[-1] == "held out: the last file of 4"
    for _ in ("prepared", "found prepared"):
        assert held_out(split(folder, 0.6)) == "c" * 30 + "\n" + "d" * 30
    assert len(split(folder, 0.8, "characters").train_ids) == int(0.8 * 242)


class Words(Characters):
    """Learns from the training part alone, as any tokenizer does whose tokens are not characters."""

    kind = "words"
    per_character = False
    learned_from = ""

    @classmethod
    def learn(cls, text, vocab_size):
        Words.learned_from = "".join(text())
        return cls("abcdé\n")


def test_any_tokenizer_learns_from_whole_files_and_is_split_at_the_same_character(folder, monkeypatch):
    monkeypatch.setitem(TOKENIZERS, "words", Words)
    for fraction in (0.9, 0.6):
        own = prepare(
            find_corpus(str(folder / "texts")), folder / "prepared", fraction, tokenizer_recipe("words"), split="files"
        )
        assert held_out(own) == held_out(split(folder, fraction)) and own.remarks == split(folder, fraction).remarks
        assert not set(Words.learned_from) & set(held_out(own)) - {"\n"}


def test_each_split_has_numbers_of_its_own(folder):
    found = [baselines(split(folder, *rule)) for rule in ((0.9, "files"), (0.6, "files"), (0.9, "characters"))]
    assert len({numbers["unigram"] for numbers in found}) == 3


def test_the_same_bytes_in_other_files_are_split_elsewhere(tmp_path):
    found = []
    for first, second in (("one\ntwo\n", "three"), ("one\n", "two\nthree")):
        (tmp_path / "texts").mkdir(exist_ok=True)
        (tmp_path / "texts/a.txt").write_text(first)
        (tmp_path / "texts/b.txt").write_text(second)
        found.append(split(tmp_path))
    assert found[0].sha256 == found[1].sha256
    assert [held_out(tokens) for tokens in found] == ["three", "two\nthree"]
