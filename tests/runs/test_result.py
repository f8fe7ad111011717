"""result.json: what was written is what is read; whatever else lies there is refused in a line."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_gpt import UserError
from lightning_gpt.runs.result import FILE, Result, Validation

WHOLE = Result(
    finished=True,
    max_steps=20,
    parameters=7040,
    chars_per_s=964.5,
    validations=(Validation(10, 3.5, 5.0, 4.9, 1.5), Validation(20, 3.25, 4.7, 4.6, 3.0)),
    checkpoints={"best": "checkpoints/best.ckpt"},
    card=(("text", "text.txt: “quoted”"), ("", "\x1b[31mmore")),
)


@pytest.mark.parametrize(
    "result", [WHOLE, Result(), Result(validations=(Validation(1, math.nan, math.inf, 1.0, 0.0),))]
)
def test_what_was_written_is_read(tmp_path, result):
    result.write(tmp_path)
    assert repr(Result.read(tmp_path)) == repr(result)


def test_the_file_says_the_best_at_a_glance(tmp_path):
    WHOLE.write(tmp_path)
    contents = json.loads((tmp_path / FILE).read_text())
    assert contents["best"]["step"] == 20 and contents["steps"] == 20 and contents["seconds"] == 3.0
    assert "\x1b" not in (tmp_path / FILE).read_text()


def test_the_best_is_the_first_of_the_lowest_and_never_nan():
    losses = [math.nan, 2.0, 1.0, 1.0, math.inf]
    result = Result(validations=tuple(Validation(i, loss, 0.0, 0.0, 0.0) for i, loss in enumerate(losses)))
    assert result.best.step == 2 and result.last.step == 4
    assert Result().best is None and Result().last is None and Result().steps == 0


def test_there_is_none(tmp_path):
    assert Result.read(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"validations": 3}, {"validations": [1]}, {"validations": [{"step": "x"}]}, {"card": [["a"]]},
        {"card": {"a": "b"}}, {"checkpoints": []}, {"max_steps": None}, {"parameters": "many"}, {"chars_per_s": []},
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused(tmp_path, change):
    WHOLE.write(tmp_path)
    contents = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(json.dumps({**contents, **change}))
    with pytest.raises(UserError, match=r"result\.json is damaged \(\w+\): remove it"):
        Result.read(tmp_path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(name=st.sampled_from([*json.loads(json.dumps(WHOLE.__dict__, default=vars)), "format"]), value=PLAIN)
def test_any_value_anywhere_is_read_or_refused(tmp_path_factory, name, value):
    folder = tmp_path_factory.mktemp("run")
    WHOLE.write(folder)
    contents = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**contents, name: value}))
    try:
        assert isinstance(Result.read(folder), Result)
    except UserError as error:
        assert str(error).count("\n") == 0
