import random

import pytest
import torch

from lightning_gpt import UserError
from lightning_gpt.text import Vocabulary

SHAKESPEARE = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_numbers_are_places_among_the_sorted_characters():
    vocabulary = Vocabulary(SHAKESPEARE[::-1] * 2)
    assert len(vocabulary) == 65
    assert vocabulary.encode("\n ").tolist() == [0, 1]
    assert vocabulary.encode("hii there").tolist() == [46, 47, 47, 1, 58, 46, 43, 56, 43]


def test_any_text_comes_back():
    generator = random.Random(0)
    alphabet = [chr(c) for c in (*range(32, 127), 0, 10, 0xE9, 0x20AC, 0x4E2D, 0x1F600, 0x10FFFF)]
    for length in (0, 1, 100):
        text = "".join(generator.choices(alphabet, k=length))
        vocabulary = Vocabulary(text + "x")
        ids = vocabulary.encode(text)
        assert ids.dtype == torch.int64 and ids.shape == (length,)
        assert vocabulary.decode(ids) == vocabulary.decode(ids.tolist()) == text


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
        Vocabulary("abc").encode(text)


def test_unknown_characters_on_request():
    vocabulary = Vocabulary("abc?")
    assert vocabulary.decode(vocabulary.encode("aXbY", unknown="skip")) == "ab"
    assert vocabulary.decode(vocabulary.encode("aXbY", unknown="?")) == "a?b?"
    with pytest.raises(UserError, match="neither"):
        vocabulary.encode("X", unknown="Z")
