"""data: fetches and prepares a corpus without training on it. Takes no stand-in."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from lightning_gpt.text import artifacts, find_corpus, prepare
from lightning_gpt.text.tensors import write_tensors
from lightning_gpt.tokens import tokenizer_recipe


def data(
    corpus: str = "tinyshakespeare",
    data_dir: str = "data",
    tokenizer: str = "characters",
    vocab_size: int | None = None,
    train_fraction: float = 0.9,
    split: Literal["characters", "files"] = "characters",
    encoding: str | None = None,
    endings: str = ".txt",
    publish: str | None = None,
) -> None:
    """Fetch a corpus, check it, and prepare it for training.

    Args:
        corpus: A source's name, or a path to a text file or a folder of them, or several with commas in between; for
            bytes as tokens, any file.
        data_dir: The folder that fetched and prepared texts are saved in.
        tokenizer: What a token is: characters, bytes, bpe, or the path of a tokenizer.json.
        vocab_size: How many tokens there shall be, for a tokenizer that leaves the choice.
        train_fraction: The first part of the text, from which a tokenizer may learn.
        split: Where that part ends: characters (anywhere) or files (between two files).
        encoding: Of the text's files, as Python names it: cp1252, utf-16; UTF-8 if left out.
        endings: Of the files that are read in a folder, as .txt,.md.
        publish: Name of an artifact of Weights & Biases that the prepared text is to be, split and as tensors of ids.
    """
    recipe = tokenizer_recipe(tokenizer, vocab_size)
    found = find_corpus(corpus, data_dir, None, endings, encoding)
    tokens = prepare(found, Path(data_dir) / "prepared", train_fraction, recipe, split)
    print(f"{tokens}, SHA-256 {tokens.sha256}")
    print("".join(f"  {said}\n" for said in (*tokens.remarks, *tokens.warnings)), end="")
    if publish is not None:
        with TemporaryDirectory() as folder:
            write_tensors(Path(folder), tokens.train_ids, tokens.val_ids, tokens.tokenizer)
            metadata = {
                "corpus": tokens.corpus, "sha256": tokens.sha256, "tokenizer": tokens.tokenizer.kind,
                "vocab_size": len(tokens.tokenizer), "train": tokens.n_train, "val": len(tokens.val_ids),
            }  # fmt: skip
            name = artifacts.publish(Path(folder), publish, metadata)
        print(f"  published as {name}: train on it with --data.corpus wandb:ENTITY/PROJECT/{name}")
