import numpy as np

from lightning_gpt.text.lines import interesting_line
from lightning_gpt.tokens import Characters


def line(text, size):
    tokenizer = Characters(text)
    return tokenizer.decode(interesting_line(tokenizer.encode(text).numpy().astype(np.uint8), tokenizer, size))


def test_the_first_line_that_is_long_enough():
    assert line("ab\nabcdef\nabcdefgh\n", 5) == "abcde"


def test_else_the_beginning():
    assert line("ab\ncd\nefghijkl", 5) == "ab\ncd"
    assert line("abc", 5) == "abc"
