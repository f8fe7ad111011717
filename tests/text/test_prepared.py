import concurrent.futures
import multiprocessing

import numpy as np
import pytest

from lightning_gpt import UserError
from lightning_gpt.text import corpus as corpus_room
from lightning_gpt.text import find_corpus, prepare


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
def test_bytes_that_are_not_utf8_are_told_with_their_offset(tmp_path, monkeypatch, chunk):
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
    assert text_of(tokens) == "one\ntwo\n" and len(tokens.remarks) == 2
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
