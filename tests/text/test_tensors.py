"""A corpus that is ids already, in a folder of tensors or an artifact of W&B, is trained on as any text."""

import json
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from conftest import TEXT, TINY

from lightning_gpt import CharDataModule, Run, UserError
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.text.tensors import SHAKESPEARES, read_tensors, write_tensors
from lightning_gpt.tokens import tokenizer_recipe

EVERY = "".join(map(chr, [*range(32, 127), 0xE9, 0x3B1, 0x1F600])) + "\n"


def written(folder, text, recipe="characters", fraction=0.9, size=None):
    folder.mkdir()
    (folder / "text.txt").write_text(text)
    corpus = find_corpus(str(folder / "text.txt"))
    tokens = prepare(corpus, folder / "prepared", fraction, tokenizer_recipe(recipe, size))
    write_tensors(folder / "tensors", tokens.train_ids, tokens.val_ids, tokens.tokenizer)
    return tokens, folder / "tensors"


@pytest.mark.parametrize("fraction", [0.5, 0.8999999, 0.9, 1 / 3])
@pytest.mark.parametrize(("recipe", "size"), [("characters", None), ("bytes", None), ("bpe", 300)])
def test_a_text_comes_back_to_the_letter_and_split_where_it_was(tmp_path, recipe, size, fraction):
    text = (TEXT + EVERY) * 3
    tokens, folder = written(tmp_path / "first", text, recipe, fraction, size)
    found = find_corpus(str(folder))
    assert b"".join(found.chunks()).decode() == text and found.size == len(text.encode())
    again = prepare(found, tmp_path / "prepared", 0.123, tokenizer_recipe("characters", None))
    assert again.n_train == int(fraction * len(text))
    assert again.tokenizer.decode(again.val_ids) == tokens.tokenizer.decode(tokens.val_ids)
    assert f"its last {len(text) - again.n_train:,} characters are held out" in " ".join(again.remarks)


def test_ids_without_their_characters_are_tiny_shakespeares(tmp_path):
    text = "First Citizen:\nBefore we proceed any further, hear me speak.\n"
    for name in ("train", "val"):
        torch.save(torch.tensor([SHAKESPEARES.index(c) for c in text]), tmp_path / f"{name}.pt")
    found = find_corpus(str(tmp_path))
    assert b"".join(found.chunks()).decode() == text * 2 and "taken for the characters of Tiny" in found.remarks[0]


def test_the_alphabet_is_in_order():
    assert "".join(sorted(set(SHAKESPEARES))) == SHAKESPEARES and len(SHAKESPEARES) == 65


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor([1.0, 2.0]), torch.zeros(2, 2, dtype=torch.long), torch.zeros(0, dtype=torch.long), [1, 2],
        {"ids": torch.zeros(2)}, torch.tensor([65]), torch.tensor([-1]), torch.zeros(1, dtype=torch.long).expand(2**40),
        torch.zeros(3, dtype=torch.long, device="meta"), torch.zeros(3, dtype=torch.long).to_sparse(),
        torch.arange(8)[::2], torch.tensor([True, False]), torch.tensor(3),
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_tensor_of_ids_is_one_line(tmp_path, ids):
    torch.save(torch.arange(9), tmp_path / "train.pt")
    torch.save(ids, tmp_path / "val.pt")
    with pytest.raises(UserError, match=r"val\.pt ") as refused:
        read_tensors(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"PK\x03\x04", b"0" * 999])
def test_a_damaged_file_is_one_line(tmp_path, content):
    torch.save(torch.arange(9), tmp_path / "train.pt")
    (tmp_path / "val.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"val\.pt can't be read as a tensor"):
        find_corpus(str(tmp_path))


@pytest.mark.parametrize(
    "plain", ["", "[]", "{}", '{"kind": "characters", "characters": 7}', '{"kind": 1}', "[" * 9999]
)
def test_a_tokenizer_that_is_none_is_one_line(tmp_path, plain):
    _, folder = written(tmp_path / "first", TEXT)
    (folder / "tokens.json").write_text(plain)
    with pytest.raises(UserError, match=r"tokens\.json describes no tokenizer"):
        find_corpus(str(folder))


def test_it_is_trained_on_gone_on_with_and_read_again(shell, tmp_path):
    _, folder = written(tmp_path / "first", TEXT, fraction=0.75)
    folder.rename(shell.folder / "ids")
    whole = shell("fit", "--data.corpus=text.txt", "--data.train_fraction=0.75", *TINY, "--name=text")
    done = shell("fit", "--data.corpus=ids", *TINY, "--name=ids")
    assert "comes split" in done.stdout and "comes split" not in whole.stdout
    text, ids = (Run(shell.folder / f"runs/{name}/version_0") for name in ("text", "ids"))
    assert ids.result.best.nats_per_token == text.result.best.nats_per_token
    assert "steps 20 to 22" in shell("fit", f"--ckpt_path={ids.last}", "--trainer.max_steps=22").stdout
    shell("report", f"--ckpt_path={ids.last}")
    assert "B - A" in shell("compare", text.last, ids.best).stdout


# ------------------------------------------------------------------------------------------------------------- W&B


class Service:
    """W&B as far as an artifact goes: keeps what is logged, gives it back by its name."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = []

    def module(self):
        service = self

        class Artifact:
            def __init__(self, name, type, metadata):
                self.name, self.metadata = name, metadata

            def add_dir(self, path):
                self.files = {file.name: file.read_bytes() for file in Path(path).iterdir()}

            def download(self, root):
                shutil.copytree(service.folder / self.name.partition(":")[0], root)

        class Started:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def log_artifact(self, artifact):
                kept = service.folder / artifact.name
                kept.mkdir(parents=True)
                for name, data in artifact.files.items():
                    (kept / name).write_bytes(data)
                (kept / "metadata.json").write_text(json.dumps(artifact.metadata))
                artifact.name += ":v0"

        class Api:
            def artifact(self, name):
                service.asked.append(name)
                if not (service.folder / name.split("/")[-1].partition(":")[0]).is_dir():
                    raise ValueError(f"artifact '{name}' not found\nin any project")
                return Artifact(name.split("/")[-1], "dataset", {})

        return types.SimpleNamespace(Artifact=Artifact, Api=Api, init=lambda **_: Started())


@pytest.fixture
def service(tmp_path, monkeypatch):
    made = Service(tmp_path / "service")
    monkeypatch.setitem(sys.modules, "wandb", made.module())
    return made


def test_a_published_corpus_is_trained_on_by_its_name(shell, service):
    said = shell("data", "--corpus=text.txt", "--publish=the text").stdout
    assert "published as the-text:v0: train on it with --data.corpus wandb:ENTITY/PROJECT/the-text:v0" in said
    kept = service.folder / "the-text"
    assert json.loads((kept / "metadata.json").read_text())["train"] == int(0.9 * len(TEXT))
    name = "wandb:me/letters/the-text:v0"
    shell("fit", f"--data.corpus={name}", *TINY)
    run = Run(shell.folder / "runs/gpt/version_0")
    shutil.rmtree(kept)  # a version never changes, so it is not asked for again
    assert "steps 20 to 21" in shell("fit", f"--ckpt_path={run.last}", "--trainer.max_steps=21").stdout
    shell("report", f"--ckpt_path={run.last}")
    assert service.asked == ["me/letters/the-text:v0"]


def test_an_alias_may_move(shell, service):
    for text in (TEXT, TEXT[::-1]):
        (shell.folder / "text.txt").write_text(text)
        shutil.rmtree(service.folder, ignore_errors=True)
        shell("data", "--corpus=text.txt", "--publish=x")
        assert f"{len(text):,} characters" in shell("data", "--corpus=wandb:x:latest").stdout
    assert b"".join(find_corpus("wandb:x:latest", shell.folder / "data").chunks()).decode() == TEXT[::-1]


def test_a_strangers_checkpoint_asks_no_service(shell, service):
    shell("data", "--corpus=text.txt", "--publish=x")
    shell("fit", "--data.corpus=wandb:x:v0", *TINY)
    shutil.rmtree(shell.folder / "data")
    service.asked.clear()
    for command in (["report"], ["validate", "--ckpt_path=best"], ["fit", "--ckpt_path=last"]):
        said = shell(*command, status=2).stderr
        assert "fetch it by lightning-gpt data --corpus wandb:x:v0" in said, command
    assert "the artifact x:v0 is not here: fetch it by lightning-gpt data --corpus wandb:x:v0" in said
    assert service.asked == []


@pytest.mark.parametrize("option", ["corpus", "rehearsal_corpus"])
def test_no_option_of_a_strangers_asks_a_service(tmp_path, service, monkeypatch, option):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    texts = {"corpus": "text.txt", "rehearsal_corpus": "text.txt", option: "wandb:x:latest"}
    data = CharDataModule(**texts, rehearsal=0.5, block_size=8)
    data.untyped = frozenset({"wandb:x:latest"})
    with pytest.raises(UserError, match="fetch it by lightning-gpt data"):
        data.prepare_data()
    assert service.asked == []


@pytest.mark.parametrize(
    "name", ["wandb:", "wandb:../../x", "wandb:a/b/c/d", "wandb:a b", "wandb:x:..", "wandb:x:v1:v2"]
)
def test_a_name_that_is_none_is_one_line(shell, service, name):
    assert "is no artifact's name" in shell("data", f"--corpus={name}", status=2).stderr


def test_an_artifact_that_is_not_there_is_one_line_and_leaves_nothing(shell, service):
    said = shell("data", "--corpus=wandb:me/none:v3", status=2).stderr
    assert "can't fetch the artifact me/none:v3 (ValueError: artifact 'me/none:v3' not found)" in said
    assert not (shell.folder / "data").exists()


def test_without_the_package_it_is_named(shell, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    for words in (["--corpus=wandb:x:v0"], ["--corpus=text.txt", "--publish=x"]):
        assert "pip install wandb" in shell("data", *words, status=2).stderr


def test_wandb_itself_writes_an_artifact_without_a_network(shell, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")
    said = shell("data", "--corpus=text.txt", "--publish=text", WANDB_MODE="offline", WANDB_SILENT="true").stdout
    assert "published as text" in said
    (log,) = (shell.folder / "wandb").glob("offline-run-*/*.wandb")
    assert b"train.pt" in log.read_bytes() and b"tokens.json" in log.read_bytes()
