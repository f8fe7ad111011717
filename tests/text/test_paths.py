"""Which files are a text: folders, patterns, lists, links; and what is said of those that are left out."""

import os
import socket
from pathlib import Path

import pytest

from lightning_gpt import UserError
from lightning_gpt.text import find_corpus
from lightning_gpt.text.paths import written


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(folder, *names):
    """Files whose text is their own name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<{path.name}>")


def read(corpus, **options):
    """What is read, and what is said of it."""
    found = find_corpus(corpus, **options)
    return b"".join(found.chunks()).decode().split("\n"), *found.remarks


def test_endings_in_any_case(here):
    put(here, "a.txt", "b.TXT", "c.Txt", "d.text", "txt")
    assert read(".") == (["<a.txt>", "<b.TXT>", "<c.Txt>"], "reads 3 files, leaves out 2 (other endings 2)")


def test_hidden_files_and_what_unpacking_leaves_are_left_out(here):
    put(
        here,
        "a.txt",
        ".b.txt",
        ".ipynb_checkpoints/a.txt",
        "__MACOSX/._a.txt",
        "c/__MACOSX/x.txt",
        "c/c.txt",
        ".git/t.txt",
    )
    assert read(".") == (["<a.txt>", "<c.txt>"], "reads 2 files, leaves out 5 (hidden 5)")
    assert read(".ipynb_checkpoints") == (["<a.txt>"],)  # who names it means it


def test_other_endings_by_option(here):
    put(here, "a.txt", "b.md", "c.TEXT", "d.csv")
    assert read(".", endings="md, .text")[0] == ["<b.md>", "<c.TEXT>"]
    with pytest.raises(UserError, match=r"no .html or .htm file in the folder \., but 1 of .txt: --data.endings .txt"):
        read(".", endings=".html,.htm")
    for endings in ("", ",", ".txt,", "a/b", "*.txt", ".", "\udcff", "a\0"):
        with pytest.raises(UserError, match=r"data.endings takes the endings of files"):
            read(".", endings=endings)


def test_a_folder_may_be_called_as_a_file(here):
    put(here, "part.txt/a.txt", "part.txt/deep/b.txt")
    assert read(".")[0] == read("part.txt")[0] == ["<a.txt>", "<b.txt>"]


def test_a_linked_folder_is_followed_once(here):
    put(here, "elsewhere/two.txt", "linked/one.txt")
    (here / "linked/more").symlink_to("../elsewhere")
    (here / "linked/again").symlink_to("../elsewhere")
    assert read("linked") == (["<two.txt>", "<one.txt>"], "reads 2 files, leaves out 1 (read already 1)")


def test_links_in_a_circle_end(here):
    put(here, "a/b/x.txt")
    (here / "a/b/up").symlink_to(here / "a")
    (here / "a/self").symlink_to(".")
    (here / "a/loop.txt").symlink_to("loop.txt")
    assert read("a") == (["<x.txt>"], "reads 1 file, leaves out 3 (broken links 1, read already 2)")


def test_a_file_is_read_once_and_where_it_lies(here):
    put(here, "z.txt")
    (here / "a.txt").symlink_to("z.txt")
    (here / "gone.txt").symlink_to("nowhere.txt")
    put(here, "b.txt")
    os.link(here / "b.txt", here / "y.txt")
    assert read(".") == (["<b.txt>", "<z.txt>"], "reads 2 files, leaves out 3 (broken links 1, read already 2)")
    assert read("z.txt,a.txt,z.txt")[0] == ["<z.txt>"]


def test_the_order_is_that_of_the_paths(here):
    put(here, "b.txt", "a/z.txt", "c/a.txt", "a.txt", "B.txt")
    names = [part.name for part in find_corpus(".").parts]
    assert names == ["B.txt", "a/z.txt", "a.txt", "b.txt", "c/a.txt"] == list(map(str, sorted(map(Path, names))))


@pytest.mark.parametrize(
    "named",
    ["x.md,b/*.txt", "x.md, b/*.txt", "x.md,b", ["x.md", "b"], ["x.md", "b/*.txt"], "*.md,b/**/*.txt", "x.md,b/,x.md"],
)
def test_several_paths_and_patterns(here, named):
    put(here, "b/1.txt", "b/2.txt", "x.md", "b/.hidden.txt")
    texts, said = read(named)
    assert texts == ["<x.md>", "<1.txt>", "<2.txt>"] and said.startswith("reads 3 files")
    assert read(written(named)) == read(named)  # as a checkpoint keeps it


def test_a_name_that_holds_a_comma_or_a_star_is_a_name(here):
    put(here, "a,b.txt", "c*.txt", "cd.txt", "[x].txt", "x.txt", " y.txt")
    assert read("a,b.txt")[0] == ["<a,b.txt>"]
    assert read("c*.txt")[0] == ["<c*.txt>"]
    assert read("x.txt,a,b.txt,[x].txt")[0] == ["<x.txt>", "<a,b.txt>", "<[x].txt>"]
    assert read(["a,b.txt", "x.txt"])[0] == ["<a,b.txt>", "<x.txt>"]
    assert read(" y.txt")[0] == ["<y.txt>".replace("y", " y")]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("", "has no name"), ([], "has no name"), (" ", "has no name"), ("a.txt,", "no corpus ''"),
        ("a.txt,none.txt", "no corpus 'none.txt': it is neither a file, nor a folder"), ("\udcff", "no corpus"),
        ("*.md", r"no file matches '\*.md'"), ("a.txt,tinyshakespeare", "tinyshakespeare is a text by itself"),
        ("a\0b", "no corpus"), ("x" * 5000, "too long a name"), ("x" * 300, "no corpus 'x"),
        ("~nobody", "no corpus"),
        (["a.txt"] * 1000, "too long a name"), ("empty", "no .txt file in the folder empty"),
        ("hidden", r"no .txt file in the folder hidden \(reads 0 files, leaves out 1 \(hidden 1\)\)"),
    ],
)  # fmt: skip
def test_what_names_nothing_is_refused_in_a_line(here, named, says):
    put(here, "a.txt", "hidden/.a.txt")
    (here / "empty").mkdir()
    with pytest.raises(UserError, match=says) as refused:
        find_corpus(named)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


def test_a_list_may_be_longer_than_a_name_can_be(here):
    names = [f"{number}.txt" for number in range(500)]
    put(here, *names)
    assert len(find_corpus(",".join(names)).parts) == 500
    with pytest.raises(UserError, match="no corpus ''"):
        find_corpus("," * 4000)


def test_what_is_no_file_is_called_what_it_is(here):
    put(here, "folder/a.txt")
    os.mkfifo(here / "pipe")
    os.mkfifo(here / "folder/pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for name, says in {"pipe": "is a pipe, which can be read only once", "socket": "is a socket"}.items():
            with pytest.raises(UserError, match=says):
                find_corpus(name)
    with pytest.raises(UserError, match="/dev/zero is a device"):
        find_corpus("/dev/zero")
    assert read("folder") == (["<a.txt>"], "reads 1 file, leaves out 1 (no files 1)")


def test_a_pipe_that_a_shell_made_is_refused_and_not_waited_for():
    reading, writing = os.pipe()
    try:
        with pytest.raises(UserError, match=r"/dev/fd/\d+ is a pipe, .*save it to a file"):
            find_corpus(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_that_can_not_be_read_is_named(here, monkeypatch):
    put(here, "a.txt", "b.txt")
    opened = type(here).open

    def open_all_but_b(path, *args, **options):
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(type(here), "open", open_all_but_b)
    for named in (".", "b.txt", "a.txt,b.txt"):
        with pytest.raises(UserError, match=r"can't read b.txt: Permission denied"):
            find_corpus(named)


def test_a_file_that_goes_while_it_is_read_is_named(here):
    put(here, "a.txt")
    corpus = find_corpus("a.txt")
    (here / "a.txt").unlink()
    with pytest.raises(UserError, match=r"can't read a.txt: No such file"):
        corpus.sha256()


def test_names(here):
    put(here, "b/1.txt", "b/2.txt", "x.md")
    names = {"b": "b", "./b/../x.md": "x.md", "b/*.txt": "b/*.txt", "x.md,b/*.txt": "x.md,*.txt"}
    assert {named: find_corpus(named).name for named in names} == names
    assert len(find_corpus(["x.md"] * 100).name) < 100
    name = os.fsdecode(b"caf\xe9.txt")
    Path(name).write_text("text")
    assert find_corpus(name).name == r"caf\udce9.txt"  # what is shown and saved is text, whatever a file is called
    put(here, "a\n\x1b[31m.txt")
    assert find_corpus("a\n\x1b[31m.txt").name == "a□□[31m.txt"
