"""Where text comes from. A small stand-in plays Tiny Shakespeare, so that nothing here needs a network."""

import hashlib
import http.server
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from lightning_gpt import UserError
from lightning_gpt.text import corpus as room
from lightning_gpt.text import download, find_corpus
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


class Hostile(http.server.BaseHTTPRequestHandler):
    """Answers as the path says; writes until nobody listens."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        kind = self.path.split("/")[1]
        if kind == "garbage":
            self.wfile.write(b"<html>\x1b[31m\n" * 1000)
        elif kind == "reason":
            self.wfile.write(b"HTTP/1.0 500 " + b"no \x1b[2J " * 5000 + b"\r\n\r\n")
        elif kind == "headers":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n")
        else:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            with suppress(OSError):
                while not self.server.done.is_set():
                    self.wfile.write(b"x" if kind == "trickle" else b"x" * 65536)
                    self.server.done.wait(0.01 if kind == "trickle" else 0)


@pytest.fixture
def hostile(source, monkeypatch):
    """A mirror's address; what it answers is the next part of the path."""
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.done = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.done.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("endless", r"it has more than 1,000 bytes"), ("trickle", r"it did not come within 0 s"),
        ("garbage", r"<html>□\[31m"), ("reason", r"no □\[2J no .*…"), ("headers", r"got more than 100 headers"),
    ],
)  # fmt: skip
def test_a_mirror_that_does_not_behave_is_given_up_in_a_short_line(source, hostile, monkeypatch, kind, says):
    monkeypatch.setattr(download, "SLOWEST", 1e9)
    monkeypatch.setitem(SOURCES, "tinyshakespeare", replace(SOURCES["tinyshakespeare"], size=1000))
    monkeypatch.setenv(MIRROR_VARIABLE, f"{hostile}/{kind}")
    with pytest.raises(UserError, match=says) as refused:
        find_corpus("tinyshakespeare", offline=None)
    assert "\n" not in str(refused.value) and "\x1b" not in str(refused.value) and len(str(refused.value)) < 700
    assert not list((source / "data/tinyshakespeare").iterdir())  # no part of it


def test_what_lies_in_the_text_s_place_and_is_no_file_is_not_read(source):
    path = source / "data/tinyshakespeare/input.txt"
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"input.txt is a device"):
        find_corpus("tinyshakespeare")
    path.unlink()
    path.write_bytes(TEXT)
    with open(path, "r+b") as file:
        file.truncate(10**12)  # all zeros, and it takes no room
    with pytest.raises(UserError, match="is not tinyshakespeare as published"):
        find_corpus("tinyshakespeare")


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
