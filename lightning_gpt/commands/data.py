"""data: fetches and prepares a corpus without training on it. Takes no stand-in."""

from pathlib import Path
from typing import Literal

from lightning_gpt.text import find_corpus, prepare
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
    """
    recipe = tokenizer_recipe(tokenizer, vocab_size)
    found = find_corpus(corpus, data_dir, None, endings, encoding)
    tokens = prepare(found, Path(data_dir) / "prepared", train_fraction, recipe, split)
    print(f"{tokens}, SHA-256 {tokens.sha256}")
    print("".join(f"  {said}\n" for said in (*tokens.remarks, *tokens.warnings)), end="")
