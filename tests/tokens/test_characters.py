import json
import random

import numpy as np
import pytest
import torch

from lightning_gpt import UserError
from lightning_gpt.tokens import Characters, of_plain, tokenizer_recipe

SHAKESPEARE = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_numbers_are_places_among_the_sorted_characters():
    tokenizer = Characters(SHAKESPEARE[::-1] * 2)
    assert len(tokenizer) == 65
    assert tokenizer.encode("\n ").tolist() == [0, 1]
    assert tokenizer.encode("hii there").tolist() == [46, 47, 47, 1, 58, 46, 43, 56, 43]


def test_any_text_comes_back():
    generator = random.Random(0)
    alphabet = [chr(c) for c in (*range(32, 127), 0, 10, 0xE9, 0x20AC, 0x4E2D, 0x1F600, 0x10FFFF)]
    for length in (0, 1, 100):
        text = "".join(generator.choices(alphabet, k=length))
        tokenizer = Characters(text + "x")
        ids = tokenizer.encode(text)
        assert ids.dtype == torch.int64 and ids.shape == (length,)
        assert tokenizer.decode(ids) == tokenizer.decode(ids.tolist()) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ab€", r"'€' \(U\+20AC\) at position 2 .* unknown='skip'"),
        ("aB", r"'B' .* at position 1 .* did you mean 'b'\?"),
        ("\U0010ffff", "position 0"),
        ("\udc80", "position 0"),
    ],
)
def test_an_unknown_character_is_named_with_a_remedy(text, says):
    with pytest.raises(ValueError, match=says):
        Characters("abc").encode(text)


def test_unknown_characters_on_request():
    tokenizer = Characters("abc?")
    assert tokenizer.decode(tokenizer.encode("aXbY", unknown="skip")) == "ab"
    assert tokenizer.decode(tokenizer.encode("aXbY", unknown="?")) == "a?b?"
    with pytest.raises(UserError, match="neither"):
        tokenizer.encode("X", unknown="Z")


def test_plain_values_make_it_again():
    tokenizer = Characters(SHAKESPEARE + "€😀")
    again = of_plain(json.loads(json.dumps(tokenizer.as_plain())))
    assert again == tokenizer and again.encode("hii €").tolist() == tokenizer.encode("hii €").tolist()
    assert tokenizer != Characters(SHAKESPEARE)


@pytest.mark.parametrize(
    "plain",
    [
        None, [], "characters", {}, {"kind": "characters"}, {"kind": "abacus", "characters": "ab"}, {"kind": ["x"]},
        {"kind": "characters", "characters": ""}, {"kind": "characters", "characters": ["a", "b"]},
        {"kind": "characters", "characters": "ba"}, {"kind": "characters", "characters": "aab"},
        {"kind": "characters", "characters": "a\ud800"},
    ],
)  # fmt: skip
def test_plain_values_are_not_trusted(plain):
    with pytest.raises(ValueError, match=r"."):
        of_plain(plain)


def test_a_prompt_is_cleaned_and_never_empty():
    assert Characters("abc\n").clean("aXbY") == "ab"
    assert Characters("abc\n").clean("XY") == Characters("abc\n").clean("") == "\n"
    assert Characters("abc").clean("XY") == "a"


def test_lengths_of_tokens():
    assert Characters("a é€😀").token_lengths.tolist() == [[1, 1], [1, 1], [1, 2], [1, 3], [1, 4]]


def test_a_long_text_is_encoded_as_a_short_one():
    tokenizer = Characters(SHAKESPEARE)
    pieces = list(tokenizer.encode_pieces(["hii ", "", "there"]))
    assert np.concatenate(pieces).tolist() == tokenizer.encode("hii there").tolist() and pieces[0].dtype == np.uint8


@pytest.mark.parametrize("size", [3, 255, 256, 257])
def test_an_unknown_character_of_a_long_text_is_named(size):
    tokenizer = Characters(map(chr, range(0x100, 0x100 + size)))
    assert np.concatenate(list(tokenizer.encode_pieces([tokenizer.characters, ""]))).tolist() == [*range(size)]
    with pytest.raises(UserError, match=r"'!' \(U\+0021\) at position 1"):
        list(tokenizer.encode_pieces([tokenizer.characters[:2] + "x", "Ā!"][1:]))


def test_they_can_not_be_as_many_as_one_likes():
    with pytest.raises(UserError, match=r"data.vocab_size is not for characters"):
        tokenizer_recipe("characters", 5)
    with pytest.raises(UserError, match=r"data.vocab_size must be at least 1, not 0"):
        tokenizer_recipe("characters", 0)


def test_a_name_that_there_is_not():
    with pytest.raises(UserError, match="no tokenizer 'charaters'; did you mean characters"):
        tokenizer_recipe("charaters")


@pytest.mark.parametrize(
    ("known", "typed", "read"),
    [
        ("cafe\u0301", "caf\u00e9", "cafe\u0301"),
        ("caf\u00e9", "cafe\u0301", "caf\u00e9"),
        ("e\u0301\u00e9f", "\u00e9fe\u0301", "\u00e9fe\u0301"),  # both are known: nothing is changed
        ("e\u0301\u00fc", "\u00e9\u00fc", "e\u0301\u00fc"),
        ("\u1112\u1161\u11ab", "\ud55c", "\u1112\u1161\u11ab"),
        ("\ud55c", "\u1112\u1161\u11ab", "\ud55c"),
    ],
)
def test_the_other_unicode_form_is_read_where_only_that_is_known(known, typed, read):
    tokenizer = Characters(known)
    assert tokenizer.decode(tokenizer.encode(typed)) == read and tokenizer.spells(typed)


def test_a_character_that_no_form_can_spell_is_named_where_it_was_typed():
    tokenizer = Characters("cafe\u0301")
    with pytest.raises(UserError, match=r"'€' \(U\+20AC\) at position 1"):
        tokenizer.encode("\u00e9€")
    assert tokenizer.decode(tokenizer.encode("\u00e9€\u00e8", "skip")) == "e\u0301" and not tokenizer.spells("\u00e8")
