"""YAML is read as data of bounded size: plain values by name, or a refusal in a line that says where the fault is."""

import pytest

from lightning_gpt import UserError
from lightning_gpt.runs.config import read_config

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("a: 1\nb: {c: [1, x, null]}", {"a": 1, "b": {"c": [1, "x", None]}}),
        ("\ufeffa: 1", {"a": 1}),
        ("base: &b {x: 1}\nother: *b", {"base": {"x": 1}, "other": {"x": 1}}),
        ("{}", {}),
    ],
)
def test_what_it_reads(tmp_path, text, config):
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    assert read_config(tmp_path / "c.yaml") == config


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (b"", "holds no options by name"),
        (b"null", "holds no options by name"),
        (b"[1]", "holds no options by name"),
        (b"3", "holds no options by name"),
        (b"1: 2", "holds no options by name"),
        (b"a:\n\tb: 1", "(line 2, "),
        (b"a: [1", "(line 1, "),
        (b"a: !!python/object/apply:os.system [touch pwned]", "could not determine a constructor"),
        (b"a: \xff", "(byte 3 is not UTF-8)"),
        (b"a: &a [*a]", "an alias stands for itself"),
        (LAUGHS.encode(), "its aliases stand for too many values"),
        (b"[" * 4000, "can't be read as a configuration"),
        (b"\x00\x01", "can't be read as a configuration"),
        (b"a: " + b"x" * 1_000_001, "more than 1 MB"),
        (b"a: 1\na: [1, 2]\n---\nb: 1", "can't be read as a configuration"),
    ],
)
def test_what_it_refuses(tmp_path, contents, says):
    (tmp_path / "c.yaml").write_bytes(contents)
    with pytest.raises(UserError) as error:
        read_config(tmp_path / "c.yaml")
    assert says in str(error.value) and "\n" not in str(error.value), error.value


def test_there_is_none(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="can't read the configuration"):
        read_config(tmp_path)
