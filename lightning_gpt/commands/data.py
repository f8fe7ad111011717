"""data: fetches and prepares a corpus without training on it. Takes no stand-in."""

from pathlib import Path

from lightning_gpt.text import find_corpus, prepare


def data(
    corpus: str = "tinyshakespeare",
    data_dir: str = "data",
    tokenizer: str = "characters",
    vocab_size: int | None = None,
    train_fraction: float = 0.9,
) -> None:
    """Fetch a corpus, check it, and prepare it for training.

    Args:
        corpus: A source's name, or a path to a UTF-8 text file or a folder of .txt files; for bytes, to any file.
        data_dir: The folder that fetched and prepared texts are saved in.
        tokenizer: What a token is: characters, bytes, bpe, or the path of a tokenizer.json.
        vocab_size: How many tokens there shall be, for a tokenizer that leaves the choice.
        train_fraction: The first part of the text, from which a tokenizer may learn.
    """
    found = find_corpus(corpus, data_dir, offline=None)
    tokens = prepare(found, Path(data_dir) / "prepared", train_fraction, tokenizer, vocab_size)
    print(f"{tokens}, SHA-256 {tokens.sha256}")
    print("".join(f"  {remark}\n" for remark in tokens.remarks), end="")
