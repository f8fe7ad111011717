"""Bytes as tokens: of any file, text or not, and of what Python makes of bytes that are none."""

import numpy as np
import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

import lightning_gpt
from lightning_gpt import UserError
from lightning_gpt.cli import main
from lightning_gpt.text import corpus as corpus_room
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.text.units import Length, by_character
from lightning_gpt.tokens import Bytes, tokenizer_recipe

BINARY = bytes(np.random.default_rng(0).integers(0, 256, 6000, dtype=np.uint8)) + b"\r\n\xef\xbb\xbf" + b"\x80" * 1500


@given(st.binary(max_size=50))
def test_ids_are_the_bytes_of_anything(data):
    text = data.decode("utf-8", "surrogateescape")
    assert bytes(Bytes().encode(text).tolist()) == data
    assert Bytes().decode(np.frombuffer(data, np.uint8)) == data.decode("utf-8", "replace")


def prepared(tmp_path, data, fraction=0.9):
    (tmp_path / "some.bin").write_bytes(data)
    return prepare(find_corpus(str(tmp_path / "some.bin")), tmp_path / "prepared", fraction, tokenizer_recipe("bytes"))


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize(
    "data", [b"a\r\nb\rc\n" * 9, b"\xef\xbb\xbfa\x00", "né 月😀\r\n".encode(), BINARY[-100:], b"\xff", b"abc\xe2\x82"]
)
def test_a_file_is_read_as_it_is_whatever_the_pieces(tmp_path, monkeypatch, chunk, data):
    monkeypatch.setattr(corpus_room, "CHUNK", chunk)
    tokens = prepared(tmp_path, data)
    assert tokens.ids.tobytes() == data and tokens.ids.dtype == np.uint8
    assert tokens.length.bytes == len(data)


def test_what_is_no_text_has_bytes_for_characters(tmp_path):
    tokens = prepared(tmp_path, BINARY)
    assert not tokens.is_text and "no text" in tokens.remarks[0]
    assert tokens.length == Length(len(BINARY), len(BINARY), len(BINARY))
    assert tokens.n_train == int(0.9 * len(BINARY))  # where a count of characters would come to an early end
    size = len(tokens.val_ids)
    assert tokens.held_out == Length(size - 1, size - 1, size - 1)
    nats = np.arange(1.0, size)
    spread = by_character(nats, tokens.val_ids, tokens.tokenizer, tokens.is_text)
    assert spread.nats[1:].tolist() == nats.tolist() and len(spread.text) == size and set(spread.sizes) == {1}


def test_text_is_split_by_its_characters(tmp_path):
    text = "ä" * 90 + "b" * 10
    tokens = prepared(tmp_path, text.encode(), 0.95)
    assert tokens.is_text and tokens.remarks == () and tokens.length.characters == 100 and len(tokens.val_ids) == 5


def test_an_empty_file_has_nothing_to_learn_from(tmp_path):
    with pytest.raises(UserError, match="is empty"):
        prepared(tmp_path, b"")


def run(capsys, *args, status=0):
    assert main(list(map(str, args))) == status, capsys.readouterr().err
    return "".join(capsys.readouterr())


def test_it_trains_on_any_file(tmp_path, monkeypatch, capsys):
    """A file with bytes of all kinds and a long silence, as sound has it: trained on, reported on, compared."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.bin").write_bytes(BINARY)
    said = run(capsys, "fit", "--data.corpus=some.bin", *TINY, "--data.tokenizer=bytes")
    assert "no text, and each of its bytes counts as a character" in said and "inf" not in said
    best = lightning_gpt.load("runs/gpt/version_0/checkpoints/best.ckpt")
    assert len(best.generate("\udcff", 30, seed=1)) > 0
    run(capsys, "report")
    said = run(capsys, "compare", "best", "last")
    assert f"held out  {len(BINARY) - int(0.9 * len(BINARY)) - 1:,} characters" in said and "nan" not in said
    run(capsys, "generate", "--prompt=\n", "--max_new_tokens=9", "--novelty", "--out=written.txt")
    run(capsys, "doctor", "--data.corpus=some.bin", *TINY, "--data.tokenizer=bytes")
    assert "is not UTF-8 text" in run(capsys, "fit", "--data.corpus=some.bin", *TINY, "--data.tokenizer=bpe", status=2)


def test_texts_that_are_read_otherwise_are_not_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dos.txt").write_bytes(b"one line\r\nand another\r\n" * 200)
    for kind in ("bytes", "characters"):
        run(capsys, "fit", "--data.corpus=dos.txt", *TINY, f"--data.tokenizer={kind}", f"--name={kind}")
    paths = [f"runs/{kind}/version_0/checkpoints/best.ckpt" for kind in ("bytes", "characters")]
    assert "do not read the same characters" in run(capsys, "compare", *paths, status=2)
