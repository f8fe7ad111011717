import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_gpt.text import find_corpus, overlap, prepare
from lightning_gpt.text.overlap import LONG, MOST, OverlapIndex, covered, training_index


def lengths_by_search(text, query):
    """The same by the definition."""
    found = []
    for i in range(len(query)):
        length = 0
        while i + length < len(query) and query[i : i + length + 1] in text:
            length += 1
        found.append(length)
    return found


@pytest.mark.parametrize("alphabet", ["abcd", "a€😀d"])
@pytest.mark.parametrize("others", [0, 300, 70_000])  # more characters than a byte numbers, or two
@settings(max_examples=30)
@given(data=st.data())
def test_it_agrees_with_the_definition(alphabet, others, data):
    text = data.draw(st.text(alphabet[:3], min_size=1, max_size=80)) + "".join(
        map(chr, range(0x20000, 0x20000 + others))
    )
    query = data.draw(st.text(alphabet, max_size=40))
    assert OverlapIndex(text).lengths(query).tolist() == lengths_by_search(text, query)


def test_long_stretches_are_found_whole():
    text = "".join(chr(97 + i * i % 23) + chr(97 + i % 17) for i in range(2000))
    query = "zzz" + text[700:1500] + "!" + text[:LONG] + "!" + text[5 : LONG + 4]  # the last is one short of long
    overlap = OverlapIndex(text).of(query)
    assert (overlap.longest, overlap.at) == (800, 3)
    assert overlap.share == pytest.approx((800 + LONG) / len(query), abs=1e-12)


def test_covered_marks_stretches_to_their_end():
    assert covered(np.array([1, 3, 2, 1, 0, 2, 1]), 3).tolist() == [False, True, True, True, False, False, False]
    assert not covered(np.array([2, 1]), 3).any()


def test_nothing_written_is_no_overlap():
    assert OverlapIndex("abc").of("").longest == 0


def test_a_text_too_long_is_refused():
    with pytest.raises(ValueError, match="too long"):
        OverlapIndex("a" * (MOST + 1))


def test_a_training_text_is_indexed_unless_it_is_too_long(tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 100)
    tokens = prepare(find_corpus(str(tmp_path / "text.txt")), tmp_path / "prepared")
    assert training_index(tokens).of("xx or not to be\nto be").longest == 19
    monkeypatch.setattr(overlap, "MOST", 100)
    assert training_index(tokens) is None
