import concurrent.futures
import json
import multiprocessing
import zlib

import numpy as np
import pytest

from lightning_gpt import UserError
from lightning_gpt.text import corpus as corpus_room
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.text.mapped import release
from lightning_gpt.text.units import Length


def prepared(tmp_path, data, name="x.txt"):
    (tmp_path / name).write_bytes(data)
    return prepare(find_corpus(str(tmp_path / name)), tmp_path / "prepared")


def text_of(tokens):
    return tokens.tokenizer.decode(np.asarray(tokens.ids).tolist())


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_any_text_comes_back_whatever_the_pieces(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(corpus_room, "CHUNK", chunk)
    text = "one\ntwo ü € 😀\n\n中\x00end"
    tokens = prepared(tmp_path, text.encode())
    assert text_of(tokens) == text
    assert tokens.remarks == ()


@pytest.mark.parametrize("chunk", [1, 2, 1 << 20])
def test_line_ends_and_byte_order_marks_are_mended_and_said(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(corpus_room, "CHUNK", chunk)
    tokens = prepared(tmp_path, b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert text_of(tokens) == "one\ntwo\n"
    assert len(tokens.remarks) == 2 and "byte order" in tokens.remarks[0] and "line ends" in tokens.remarks[1]


@pytest.mark.parametrize(("distinct", "dtype"), [(2, "uint8"), (256, "uint8"), (257, "uint16")])
def test_the_smallest_type_that_holds_the_vocabulary(tmp_path, distinct, dtype):
    text = "".join(chr(0x100 + i) for i in range(distinct))
    tokens = prepared(tmp_path, text.encode())
    assert tokens.ids.dtype == dtype and not tokens.ids.flags.writeable
    assert text_of(tokens) == text


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_bytes_that_are_not_utf8_are_reported_with_their_offset(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(corpus_room, "CHUNK", chunk)
    with pytest.raises(UserError, match=r"byte 0xe9 at offset 7"):
        prepared(tmp_path, "né na ".encode() + b"\xe9t\xe9")
    with pytest.raises(UserError, match=r"offset 3"):
        prepared(tmp_path, b"cut\xe2\x82")
    assert not list((tmp_path / "prepared").glob("*"))


def test_files_of_a_folder_are_mended_and_blamed_one_by_one(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfone")
    (folder / "b.txt").write_bytes(b"\xef\xbb\xbftwo\r\n")
    tokens = prepare(find_corpus(str(folder)), tmp_path / "prepared")
    assert text_of(tokens) == "one\ntwo\n" and len(tokens.remarks) == 3
    (folder / "b.txt").write_bytes(b"tw\xff")
    with pytest.raises(UserError, match=r"b.txt is not UTF-8 text: byte 0xff at offset 2"):
        prepare(find_corpus(str(folder)), tmp_path / "prepared")


def test_a_text_is_prepared_once_and_a_changed_one_anew(tmp_path):
    first = prepared(tmp_path, b"hello")
    stamp = {p: p.stat().st_mtime_ns for p in (tmp_path / "prepared").iterdir()}
    prepared(tmp_path, b"hello")
    assert stamp == {p: p.stat().st_mtime_ns for p in (tmp_path / "prepared").iterdir()}
    second = prepared(tmp_path, b"jello")
    assert first.sha256 != second.sha256 and text_of(second) == "jello"
    assert len(list((tmp_path / "prepared").iterdir())) == 4


def test_a_damaged_file_is_prepared_again(tmp_path):
    prepared(tmp_path, b"hello")
    for path in (tmp_path / "prepared").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
        assert text_of(prepared(tmp_path, b"hello")) == "hello"


def card_of(tmp_path):
    (path,) = (tmp_path / "prepared").glob("*.json")
    return path, json.loads(path.read_text())


def test_ids_that_were_changed_at_equal_length_are_found(tmp_path):
    prepared(tmp_path, b"hello hello")
    (path,) = (tmp_path / "prepared").glob("*.ids")
    changed = bytearray(path.read_bytes())
    changed[3] ^= 1
    path.write_bytes(bytes(changed))
    assert text_of(prepared(tmp_path, b"hello hello")) == "hello hello"


def test_ids_that_stand_for_nothing_are_found_whatever_the_card_says(tmp_path):
    prepared(tmp_path, b"hello hello")
    path, card = card_of(tmp_path)
    path.with_suffix(".ids").write_bytes(bytes([200] * 11))
    path.write_text(json.dumps({**card, "checksum": zlib.crc32(bytes([200] * 11))}))
    assert text_of(prepared(tmp_path, b"hello hello")) == "hello hello"


ODD = [None, True, -1, 0, 0.5, 2**70, "", "x", "<b>", "\x1b[31m", [], {}, [[]], [1], {"a": 1}]


@pytest.mark.parametrize(
    "place", ["tokenizer", "length", "n_train", "dtype", "checksum", "remarks", "length.tokens", "length.characters",
    "length.bytes", "tokenizer.kind", "tokenizer.characters"],
)  # fmt: skip
def test_a_card_is_not_trusted(tmp_path, place):
    """Whatever stands in it, the text is right, and only remarks of ours are passed on."""
    prepared(tmp_path, b"hello\r\nhello")
    path, card = card_of(tmp_path)
    for value in ODD:
        changed = json.loads(json.dumps(card))
        *parents, name = place.split(".")
        inside = changed
        for parent in parents:
            inside = inside[parent]
        inside[name] = value
        path.write_text(json.dumps(changed))
        tokens = prepared(tmp_path, b"hello\r\nhello")
        assert text_of(tokens) == "hello\nhello" and len(tokens.train_ids) == 9
        assert all(remark.startswith("its \\r line ends") for remark in tokens.remarks)
        assert tokens.length.tokens == 11


@pytest.mark.parametrize("content", [b"", b"\xff", b"null", b"[]", b"[" * 100_000, b'{"length": 5}', b"1" * 10_000])
def test_a_card_of_another_kind_is_written_anew(tmp_path, content):
    prepared(tmp_path, b"hello")
    path, _ = card_of(tmp_path)
    path.write_bytes(content)
    assert text_of(prepared(tmp_path, b"hello")) == "hello"


def test_lengths_are_counted(tmp_path):
    tokens = prepared(tmp_path, "aé€😀\r\n".encode() * 10)
    assert tokens.length == Length(tokens=50, characters=50, bytes=110)
    assert tokens.held_out == Length(tokens=4, characters=4, bytes=10)
    assert (len(tokens.train_ids), len(tokens.val_ids)) == (45, 5)


def test_memory_is_given_back_and_ids_stay(tmp_path):
    tokens = prepared(tmp_path, b"hello " * 10_000)
    part = tokens.val_ids[3:]
    before = part.copy()
    release(part)
    release(tokens.ids)
    release(before)  # of memory of its own: nothing
    assert np.array_equal(part, before)


def test_only_a_byte_order_mark_is_an_empty_text(tmp_path):
    with pytest.raises(UserError, match="empty"):
        prepared(tmp_path, b"\xef\xbb\xbf")


def prepare_length(path):
    return len(prepare(find_corpus(str(path)), path.parent / "prepared").ids)


def test_processes_that_prepare_at_once_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"hello world\n" * 100_000)
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(4, mp_context=context) as pool:
        assert set(pool.map(prepare_length, [path] * 8)) == {1_200_000}
    assert len(list((tmp_path / "prepared").iterdir())) == 2
