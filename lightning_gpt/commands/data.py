"""data: fetches and prepares a corpus without training on it. Takes no stand-in."""

from pathlib import Path

from lightning_gpt.text import find_corpus, prepare


def data(corpus: str = "tinyshakespeare", data_dir: str = "data") -> None:
    """Fetch a corpus, check it, and prepare it for training.

    Args:
        corpus: A source's name, or a path to a UTF-8 text file or a folder of .txt files.
        data_dir: The folder that fetched and prepared texts are kept in.
    """
    tokens = prepare(find_corpus(corpus, data_dir, offline=None), Path(data_dir) / "prepared")
    print(
        f"{tokens.corpus}: {len(tokens.ids):,} characters, {len(tokens.vocabulary)} distinct, SHA-256 {tokens.sha256}"
    )
    print("".join(f"  {remark}\n" for remark in tokens.remarks), end="")
