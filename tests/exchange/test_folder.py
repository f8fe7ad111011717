"""An export is written whole or not at all, and only in the place of an earlier one that nobody has touched."""

import os

import pytest
from networks import trained_gpt

from lightning_gpt import UserError
from lightning_gpt.exchange import export
from lightning_gpt.exchange import table as formats
from lightning_gpt.exchange.folder import new_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_it_has_a_model_card_and_a_list_of_its_files(tmp_path):
    files = export(trained_gpt("GPT"), "nanogpt", tmp_path / "a" / "out", loss="2.1 bits per byte")
    assert [file.name for file in files] == names(tmp_path / "a" / "out")
    assert names(tmp_path / "a" / "out") == ["README.md", "ckpt.pt", "export.json", "meta.pkl"]
    assert "2.1 bits per byte" in (tmp_path / "a" / "out" / "README.md").read_text()
    assert names(tmp_path / "a") == ["out"]


def test_an_earlier_export_is_replaced(tmp_path):
    export(trained_gpt("GPT"), "nanogpt", tmp_path / "out")
    export(trained_gpt("GPT", n_layer=1), "nanogpt", tmp_path / "out")
    assert "n_layer 1" in (tmp_path / "out" / "README.md").read_text() and names(tmp_path) == ["out"]


def a_file(out):
    out.write_text("mine")


def a_folder_with_a_file(out):
    out.mkdir()
    (out / "thesis.txt").write_text("mine")


def a_folder_with_a_folder(out):
    (out / "thesis").mkdir(parents=True)


def an_export_with_another_file(out):
    export(trained_gpt("GPT"), "nanogpt", out)
    (out / "notes.txt").write_text("mine")


def an_export_with_a_changed_card(out):
    export(trained_gpt("GPT"), "nanogpt", out)
    (out / "README.md").write_text("license: mit")


def an_export_with_a_damaged_list(out):
    export(trained_gpt("GPT"), "nanogpt", out)
    (out / "export.json").write_text("{")


@pytest.mark.parametrize(
    "make",
    [
        a_file, a_folder_with_a_file, a_folder_with_a_folder, an_export_with_another_file,
        an_export_with_a_changed_card, an_export_with_a_damaged_list,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_nothing_else_is_replaced(make, tmp_path):
    out = tmp_path / "out"
    make(out)
    before = {path: path.is_file() and path.read_bytes() for path in [out, *out.rglob("*")]}
    with pytest.raises(UserError, match="name a folder that there is not yet, or remove it"):
        export(trained_gpt("GPT"), "nanogpt", out)
    assert before == {path: path.is_file() and path.read_bytes() for path in [out, *out.rglob("*")]}
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_free(tmp_path):
    (tmp_path / "out").mkdir()
    export(trained_gpt("GPT"), "nanogpt", tmp_path / "out")
    assert "ckpt.pt" in names(tmp_path / "out")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), UserError("no")])
@pytest.mark.parametrize("earlier", [False, True])
def test_what_fails_leaves_everything_as_it_was(error, earlier, tmp_path, monkeypatch):
    out = tmp_path / "out"
    if earlier:
        export(trained_gpt("GPT"), "nanogpt", out)
    before = {path: path.read_bytes() for path in out.rglob("*")}

    def fails(gpt, folder):
        (folder / "half").write_text("…")
        raise error

    monkeypatch.setitem(formats.FORMATS, "nanogpt", formats.Format("", fails))
    with pytest.raises((UserError, KeyboardInterrupt)):
        export(trained_gpt("GPT"), "nanogpt", out)
    assert before == {path: path.read_bytes() for path in out.rglob("*")}
    assert names(tmp_path) == (["out"] if earlier else [])


def test_an_earlier_export_is_back_when_the_new_one_can_not_take_its_place(tmp_path, monkeypatch):
    with new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
    rename = type(tmp_path).rename

    def fails(path, target):
        if path.name.endswith(".part"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(type(tmp_path), "rename", fails)
    with pytest.raises(OSError), new_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("2")
    assert (tmp_path / "out" / "a").read_text() == "1" and names(tmp_path) == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_right_to_write_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"can't write .*out: Permission denied"):
        export(trained_gpt("GPT"), "nanogpt", tmp_path / "out")


def test_a_missing_library_is_one_line_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(UserError, match=r"needs the package gguf.*make setup-export, or pip install -e '\.\[export\]'"):
        export(trained_gpt("GPT"), "gguf", tmp_path / "out")
    assert names(tmp_path) == []


def test_a_format_that_there_is_not(tmp_path):
    with pytest.raises(UserError, match="no format 'nanopgt'; did you mean nanogpt"):
        export(trained_gpt("GPT"), "nanopgt", tmp_path / "out")
