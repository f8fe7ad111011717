"""A text of one's own through every command: an encoding, a list, endings, whole files held out."""

import os
import re
from pathlib import Path

import pytest
import yaml
from conftest import TEXT, TINY

import lightning_gpt
from lightning_gpt.errors import UserError
from lightning_gpt.training import CharDataModule

PART = TEXT[: len(TEXT) // 8].replace("'", "’")
RECIPE = [
    '--data.corpus=["a,b.txt", "books/*"]', "--data.encoding=windows-1252", "--data.split=files", *TINY,
]  # fmt: skip


@pytest.fixture
def books(shell):
    """A file, and a folder of two, in Windows' encoding."""
    (shell.folder / "books").mkdir()
    for name in ("a,b.txt", "books/1.TXT", "books/2.txt"):
        (shell.folder / name).write_bytes((name + PART).encode("cp1252"))
    return shell


def test_a_list_in_another_encoding_split_between_files_through_all_commands(books):
    out = books("fit", *RECIPE, "--name=own").stdout
    assert "reads 3 files" in out and "held out: the last file of 3" in out
    assert f"{2 * len(PART) + 18:,} characters to train on, {len(PART) + 11:,} held out" in out
    folder = books.folder / "runs/own/version_0"
    loss = re.search(r"best val/loss ([\d.]+)", out)[1]
    assert yaml.safe_load((folder / "config.yaml").read_text())["data"]["corpus"] == ["a,b.txt", "books/*"]
    record = lightning_gpt.load(folder / "checkpoints/best.ckpt").record.corpus
    read = (record.source, record.split, record.encoding, record.endings)
    assert read == ("a,b.txt,books/*", "files", "cp1252", ".txt")
    moved = books.folder / "moved.ckpt"  # has its record alone
    moved.write_bytes((folder / "checkpoints/best.ckpt").read_bytes())
    for path in (folder / "checkpoints/best.ckpt", moved):
        measured = re.search(r"val/loss\D+([\d.]+)", books("validate", f"--ckpt_path={path}").stdout)[1]
        assert float(measured) == pytest.approx(float(loss), abs=1e-4)
        assert loss in books("report", f"--ckpt_path={path}").stdout
        assert "novelty" in books("generate", f"--ckpt_path={path}", "--novelty=true", "--max_new_tokens=5").stderr
    assert f"{len(PART) + 10:,} characters of 'a,b.txt,*'" in books("compare", moved, "best").stdout
    done = books("fit", f"--ckpt_path={folder}/checkpoints/last.ckpt", "--trainer.max_steps=30").stdout
    assert "steps 20 to 30" in done and "held out: the last file of 3" in done
    files = ("--data.corpus=a,b.txt,books/1.TXT,books/2.txt", "--data.encoding=cp1252")
    books("fit", *files, *TINY, "--name=other", "--trainer.max_steps=10")
    said = books("compare", moved, "runs/other/version_0/checkpoints/best.ckpt", status=2).stderr
    assert f"A held out the last {len(PART) + 11:,} characters of the text and B the last" in said


def test_the_doctor_says_how_a_text_is_read_and_warns(books):
    (books.folder / "books/1.TXT").write_bytes(b"\0\x92" + PART.encode("cp1252"))
    out = books("doctor", "--data.corpus=books", "--data.encoding=latin-1", *TINY).stdout
    assert "ISO8859-1" in out and "reads 2 files" in out
    assert re.search(r"^! +it has 1 NULs", out, re.M) and re.search(r"^! +it has .* \(U\+0092\)", out, re.M)


def test_from_python_a_list_of_paths(books, monkeypatch):
    monkeypatch.chdir(books.folder)
    paths = [books.folder / "a,b.txt", books.folder / "books"]
    data = CharDataModule(paths, block_size=8, encoding="cp1252", split="files")
    data.prepare_data()
    data.setup("fit")
    assert data.source == ",".join(map(str, paths)) and len(data.val_ids) == len(PART) + 11


def test_fit_of_python_takes_a_list_of_texts_and_paths(books, monkeypatch):
    monkeypatch.chdir(books.folder)
    network = {"network": "Bigram", "block_size": 8, "max_steps": 2, "val_check_interval": 2}
    paths = [Path("a,b.txt"), "books"]
    run = lightning_gpt.fit(corpus=paths, encoding="cp1252", split="files", accelerator="cpu", **network)
    assert run.config["data"]["corpus"] == ["a,b.txt", "books"] and run.result.finished


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"encoding": "hex"}, "no encoding of text files"), ({"endings": "/"}, "data.endings takes"),
        ({"split": "lines"}, "data.split must be"), ({"train_fraction": 1.5}, "data.train_fraction"),
        ({"corpus": os.fsdecode(b"caf\xe9.txt")}, "is not UTF-8, and a run could not save it"),
        ({"corpus": ["a.txt", "\udcff"]}, "is not UTF-8, and a run could not save it"),
    ],
)  # fmt: skip
def test_options_are_checked_before_anything_is_read(options, says):
    with pytest.raises(UserError, match=says):
        CharDataModule(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--data.corpus=", "the corpus has no name"), ("--data.corpus=[]", "the corpus has no name"),
        ("--data.split=files", "takes two files with text in them at least, and text.txt has 1"),
        ("--data.split=lines", "characters or files"), ("--data.encoding=base64", "no encoding of text files"),
        ("--data.corpus=caf\udce9.txt", "is not UTF-8, and a run could not save it"),
    ],
)  # fmt: skip
def test_a_fit_that_can_not_be_is_refused_before_it_has_a_folder(shell, options, says):
    (shell.folder / os.fsdecode(b"caf\xe9.txt")).write_text(TEXT)
    assert says in shell("fit", "--data.corpus=text.txt", *TINY, options, status=2).stderr
    assert not (shell.folder / "runs").exists()


def test_a_folder_whose_files_and_own_name_are_not_utf8_is_trained_on(shell):
    folder = shell.folder / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"\xe9.txt")).write_text(TEXT)
    (shell.folder / "linked").symlink_to(folder)
    assert r"text     caf\udce9: " in shell("fit", "--data.corpus=linked", *TINY, "--trainer.max_steps=10").stdout
    assert "val/loss" in shell("validate", "--ckpt_path=best").stdout
