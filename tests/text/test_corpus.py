"""Where text comes from. A small stand-in plays Tiny Shakespeare, so that nothing here needs a network."""

import hashlib
import http.server
import threading

import pytest

from lightning_gpt import UserError
from lightning_gpt.text import corpus as room
from lightning_gpt.text import find_corpus
from lightning_gpt.text.corpus import MIRROR_VARIABLE, SOURCES, Source

TEXT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


def read(corpus):
    return b"".join(corpus.chunks())


@pytest.fixture
def source(monkeypatch, tmp_path):
    """tinyshakespeare, published at an address where nothing answers, and no mirror."""
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setitem(
        SOURCES, "tinyshakespeare", Source("http://127.0.0.1:9/input.txt", hashlib.sha256(TEXT).hexdigest())
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, text=TEXT):
    path = folder / "tinyshakespeare" / "input.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    return path


def test_published_constants():
    assert SOURCES["tinyshakespeare"].sha256 == "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
    assert SOURCES["tinyshakespeare"].url.endswith("/karpathy/char-rnn/master/data/tinyshakespeare/input.txt")


def test_first_the_data_folder(source, monkeypatch):
    put(source / "data")
    monkeypatch.setenv(MIRROR_VARIABLE, str(source / "nowhere"))
    corpus = find_corpus("tinyshakespeare")
    assert (corpus.name, read(corpus), corpus.instead_of) == ("tinyshakespeare", TEXT, None)


def test_then_a_mirror_folder(source, monkeypatch):
    put(source / "mirror")
    monkeypatch.setenv(MIRROR_VARIABLE, str(source / "mirror"))
    assert read(find_corpus("tinyshakespeare")) == TEXT
    assert (source / "data/tinyshakespeare/input.txt").read_bytes() == TEXT
    assert [p.name for p in (source / "data/tinyshakespeare").iterdir()] == ["input.txt"]


def test_a_mirror_of_another_text_is_passed_over(source, monkeypatch):
    put(source / "mirror", b"something else")
    monkeypatch.setenv(MIRROR_VARIABLE, str(source / "mirror"))
    with pytest.raises(UserError, match=r"SHA-256 is not .*; http://127.0.0.1:9"):
        find_corpus("tinyshakespeare", offline=None)
    assert not (source / "data/tinyshakespeare/input.txt").exists()


@pytest.fixture
def address(source):
    """A server of the folder `web` on this machine."""
    (source / "web").mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(source / "web"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_mirror_address_and_the_published_one(source, address, monkeypatch):
    put(source / "web")
    monkeypatch.setenv(MIRROR_VARIABLE, address)
    assert read(find_corpus("tinyshakespeare", "one")) == TEXT
    monkeypatch.delenv(MIRROR_VARIABLE)
    monkeypatch.setitem(
        SOURCES, "tinyshakespeare", Source(f"{address}/tinyshakespeare/input.txt", hashlib.sha256(TEXT).hexdigest())
    )
    assert read(find_corpus("tinyshakespeare", "two")) == TEXT


def test_a_wrong_file_is_neither_used_nor_touched(source):
    path = put(source / "data", b"not Shakespeare")
    with pytest.raises(UserError, match=r"is not tinyshakespeare as published .* --data.corpus"):
        find_corpus("tinyshakespeare", offline="python-docs")
    assert path.read_bytes() == b"not Shakespeare"


def test_offline_there_is_a_stand_in_or_an_error(source):
    corpus = find_corpus("tinyshakespeare")
    assert corpus.name == "python-docs"
    assert corpus.instead_of.startswith("tinyshakespeare (http://127.0.0.1:9")
    with pytest.raises(UserError, match=rf"data/tinyshakespeare/input.txt, name a mirror in {MIRROR_VARIABLE}, or"):
        find_corpus("tinyshakespeare", offline=None)


def test_the_embedded_text_is_pythons_own():
    from pydoc_data.topics import topics

    text = read(find_corpus("python-docs")).decode()
    assert len(text) == sum(map(len, topics.values())) + 2 * (len(topics) - 1)
    assert all(topic in text for topic in topics.values())


def test_a_file_and_a_folder(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"second")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.txt").write_bytes(b"first")
    (tmp_path / "c.md").write_bytes(b"not this")
    assert read(find_corpus(str(tmp_path / "b.txt"))) == b"second"
    assert read(find_corpus(str(tmp_path))) == b"first\nsecond"
    assert find_corpus(str(tmp_path / "b.txt")).name == "b.txt"
    assert find_corpus(str(tmp_path)).name == tmp_path.name


def test_a_broken_mirror_address_is_passed_over(source, monkeypatch):
    monkeypatch.setenv(MIRROR_VARIABLE, "http://host:port")
    with pytest.raises(UserError, match=r"nonnumeric port: 'port'; http://127.0.0.1:9"):
        find_corpus("tinyshakespeare", offline=None)


def test_bad_paths(tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "folder").mkdir()
    for name, says in {"none.txt": "neither a file", "empty.txt": "is empty", "folder": "no .txt file"}.items():
        with pytest.raises(UserError, match=says):
            find_corpus(str(tmp_path / name))


def test_long_texts_are_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 7)
    (tmp_path / "x.txt").write_bytes(TEXT)
    assert read(find_corpus(str(tmp_path / "x.txt"))) == TEXT
