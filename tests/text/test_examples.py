"""Lines as examples: each begins a row, and the targets of its answer are all that is counted."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_gpt import UserError
from lightning_gpt.text import IGNORE, HeldOutBlocks, HeldOutExamples, TrainingExamples, find_corpus, prepare
from lightning_gpt.text.examples import Examples, places
from lightning_gpt.text.lines import held_out_line
from lightning_gpt.tokens import Characters

SUMS = "".join(f"{a}+{b}={a + b}\n" for a in range(3, 40, 4) for b in range(1, 120, 17))
LINES = SUMS.splitlines(keepends=True)
TOKENIZER = Characters(SUMS)
IDS = TOKENIZER.encode(SUMS).numpy().astype(np.uint8)


def found(text=SUMS, marker="="):
    return Examples.of(Characters(text).encode(text).numpy(), Characters(text), marker)


def answer(y):
    return TOKENIZER.decode(y[y != IGNORE])


def prepared(tmp_path, text, fraction=0.9, marker="="):
    (tmp_path / "sums.txt").write_text(text)
    return prepare(find_corpus(str(tmp_path / "sums.txt")), tmp_path / "data", fraction).as_examples(marker)


@given(
    st.lists(st.tuples(st.text("ab+", max_size=4), st.text("ab=", max_size=4)), min_size=1, max_size=9), st.booleans()
)
def test_places_are_those_of_splitting_the_text(pairs, broken):
    lines = [f"{question}={answer}\n" for question, answer in pairs]
    text = "".join(lines).removesuffix("\n") + "\n" * (broken or lines[-1].endswith("=\n"))
    examples = found(text)
    assert [text[i:j] for i, j in zip(examples.starts, examples.answers, strict=True)] == [f"{q}=" for q, _ in pairs]
    counted = examples.counted(len(text))
    assert "".join(np.array(list(text))[counted]) == "".join(line.partition("=")[2] for line in text.splitlines(True))


@pytest.mark.parametrize("marker", ["=", " -> ", r"\t", "\\", "=="])
def test_a_marker_may_be_any_text_in_a_line(marker):
    real = {r"\t": "\t"}.get(marker, marker)
    text = f"one{real}1\ntwo{real}22{real}3\n"
    examples = found(text, marker)
    assert [text[i:j] for i, j in zip(examples.answers, examples.ends, strict=True)] == ["1\n", f"22{real}3\n"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1=1\n2\n3=3\n", "line 2 of the text has no '=' with an answer after it"),
        ("1=1\n\n3=3\n", "line 2 of the text"),
        ("1=1\n2=2\n=", "line 3 of the text"),
        ("12\n34\n", "data.answer_after '=' does not occur"),
    ],
)
def test_a_line_that_is_no_example_is_named(text, says):
    with pytest.raises(UserError, match=says) as error:
        found(text)
    assert "\n" not in str(error.value)


def test_a_line_that_is_too_long_is_named_with_the_block_that_takes_it():
    found("1=1\n").must_fit(3)
    with pytest.raises(UserError, match=r"line 2 of it is longer than a block of 3 .* --data.block_size 5 takes"):
        found("1=1\n22=22\n1=1\n").must_fit(3, "it")


def test_places_of_several_tokens_whatever_the_pieces(monkeypatch):
    ids = np.array([1, 2, 1, 2, 2, 1, 2])
    monkeypatch.setattr("lightning_gpt.text.mapped.PIECE", 2)
    assert places(ids, np.array([1, 2])).tolist() == [0, 2, 5] and places(ids, np.array([2])).tolist() == [1, 3, 4, 6]


def test_a_row_is_a_line_and_its_targets_are_the_answer():
    batches = TrainingExamples(IDS, found(), 12, 8)
    for x, y in (batches[k] for k in range(9)):
        assert x.shape == y.shape == (8, 12) and x.dtype == y.dtype == torch.int64
        for row, targets in zip(x, y, strict=True):
            line = TOKENIZER.decode(row).partition("\n")[0] + "\n"
            assert line in LINES and answer(targets) == line.partition("=")[2]
            assert torch.equal(row[1:][targets[:-1] != IGNORE], targets[:-1][targets[:-1] != IGNORE])


def test_a_batch_depends_on_its_number_alone_and_ranks_share_it():
    whole = TrainingExamples(IDS, found(), 12, 8, seed=5)
    parts = [TrainingExamples(IDS, found(), 12, 4, seed=5, rank=rank) for rank in range(2)]
    late = iter(TrainingExamples(IDS, found(), 12, 8, seed=5, first=7))
    for k in (7, 8):
        for piece in range(2):
            assert torch.equal(torch.cat([part[k][piece] for part in parts]), whole[k][piece])
        assert all(map(torch.equal, next(late), whole[k]))


def test_every_line_is_drawn():
    drawn = {answer(y) for k in range(40) for y in TrainingExamples(IDS, found(), 12, 50)[k][1]}
    assert drawn == {line.partition("=")[2] for line in LINES}


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
def test_held_out_answers_are_read_once_in_order(monkeypatch, ranks):
    monkeypatch.setattr(HeldOutBlocks, "TOKENS", 120)
    shares = [list(HeldOutExamples(IDS, found(), 12, rank, ranks)) for rank in range(ranks)]
    assert {len(share) for share in shares} == {len(HeldOutExamples(IDS, found(), 12, 0, ranks))}
    assert len({x.shape for share in shares for x, _ in share}) == 1
    in_turn = [batch for turn in zip(*shares, strict=True) for batch in turn]
    assert "".join(answer(y) for _, y in in_turn) == "".join(line.partition("=")[2] for line in LINES)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.901, 0.9])
def test_the_split_falls_between_lines(tmp_path, fraction):
    tokens = prepared(tmp_path, SUMS, fraction)
    train, val = (tokens.tokenizer.decode(ids) for ids in (tokens.train_ids, tokens.val_ids))
    assert train + val == SUMS and train.endswith("\n") and val
    assert len(tokens.train_examples) == train.count("\n") and len(tokens.val_examples) == val.count("\n")
    assert 0 <= tokens.n_train - int(fraction * len(SUMS)) < max(map(len, LINES))
    answers = "".join(line.partition("=")[2] for line in val.splitlines(keepends=True))
    assert tokens.held_out.tokens == tokens.held_out.characters == len(answers)
    assert tokens.begin == val.partition("=")[0] + "="
    assert tokens.tokenizer.decode(held_out_line(tokens, 4)) == val[:4]
    part = tokens.tokenizer.decode(tokens.held_out_ids(30))
    assert val.startswith(part) and part.endswith("\n") and 30 - max(map(len, LINES)) < len(part) <= 30
    assert tokens.tokenizer.decode(tokens.held_out_ids(1)) == val.splitlines(keepends=True)[0]


def test_too_few_lines(tmp_path):
    with pytest.raises(UserError, match=r"sums.txt has too few lines, 1"):
        prepared(tmp_path, "1+1=2\n")


def test_only_tokens_that_can_not_reach_over_the_marker(tmp_path):
    class Pairs(Characters):
        kind, per_character, token_lengths = "pairs", False, np.array([[2, 2]] * len(TOKENIZER))

    with pytest.raises(UserError, match=r"needs tokens that are characters or bytes: one of pairs may"):
        Examples.of(IDS, Pairs(SUMS), "=")


def test_exact_means_right_at_every_target():
    examples = found("1=1\n2=22\n3=\n")
    counted = examples.counted(13)[1:]
    right = np.ones(12, dtype=bool)
    assert examples.exact(counted, right) == 1.0
    assert examples.exact(counted, ~counted) == 0.0
    for place, exact in {0: 1.0, 1: 2 / 3, 3: 1.0, 5: 2 / 3, 6: 2 / 3, 10: 2 / 3}.items():
        wrong = right.copy()
        wrong[place] = False  # the prediction of token place + 1
        assert examples.exact(counted, wrong) == pytest.approx(exact), place
