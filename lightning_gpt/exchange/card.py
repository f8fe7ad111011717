"""Writes the model card, README.md of an export: what the network is, what it was trained on, how to run it."""

import re

from lightning_gpt import __version__
from lightning_gpt.model import TrainedGPT

FILE = "README.md"


def model_card(gpt: TrainedGPT, name: str, loss: str | None, library: str | None, usage: str) -> str:
    """Describes an export in Markdown, with the header that Hugging Face's hub reads.

    Args:
        gpt: what is exported.
        name: what to call it.
        loss: on the held-out text, in words; None: not known.
        library: the hub's name of the library that runs it; None: none.
        usage: Markdown, how to run it.
    """
    rows = "\n".join(f"| {head} | {_cell(text)} |" for head, text in _facts(gpt, loss))
    header = [f"library_name: {library}"] if library else []
    header += ["pipeline_tag: text-generation", "tags: [lightning-gpt, gpt]"]
    return "\n".join(
        [
            "---",
            "license:  # yours to choose: it depends on the text, too",
            *header,
            "---",
            "",
            f"# {_cell(name)}",
            "",
            f"A language model of {gpt.tokenizer.unit}s, trained with lightning-gpt.",
            "",
            "| | |",
            "|---|---|",
            rows,
            "",
            "## How to run it",
            "",
            usage.strip(),
            "",
        ]
    )


def _facts(gpt: TrainedGPT, loss: str | None) -> list[tuple[str, str]]:
    """Lists what is known, as rows of (head, text)."""
    network, record = gpt.network, gpt.record
    sizes = ", ".join(f"{name} {size}" for name, size in network.sizes.items())
    parameters = sum(p.numel() for p in network.parameters())
    facts = [
        ("network", f"{type(network).__name__}, {parameters:,} parameters"),
        ("sizes", sizes),
        ("tokens", f"{len(gpt.tokenizer)} {gpt.tokenizer.unit}s ({gpt.tokenizer.kind})"),
    ]
    corpus = record.corpus
    if corpus is not None:
        size = f", {corpus.bytes:,} bytes" if corpus.bytes is not None else ""
        facts += [("text", f"{corpus.name}: {corpus.characters:,} characters{size}"), ("SHA-256", corpus.sha256)]
        if corpus.train_fraction is not None:
            facts.append(("held out", f"what follows the first {corpus.train_fraction:.0%} of its characters"))
    for origin in record.provenance:
        facts.append((origin.how, f"{origin.steps:,} steps on {origin.corpus or 'a text that is not known'}"))
    facts.append(("held-out loss", loss or "not measured"))
    facts.append(("written by", f"lightning-gpt {__version__}"))
    facts.append(("licence", "not chosen yet: fill in `license` in this file's header"))
    return facts


def _cell(text: str) -> str:
    """Makes a text, which may be anybody's, plain text of one line in Markdown."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([\\`*<>\[\]|])", r"\\\1", line) if "`" not in line else line.replace("|", "/")
