"""generate: continues a prompt with a checkpoint's network. Starts without Lightning."""

import sys
from pathlib import Path

from lightning_gpt.errors import UserError
from lightning_gpt.files import must_name_a_file, replacing
from lightning_gpt.machine import too_much
from lightning_gpt.model import Sampling, TrainedGPT, load
from lightning_gpt.runs import BY_NAME, find_checkpoint
from lightning_gpt.runs.text import text_of
from lightning_gpt.terminal import lost_output
from lightning_gpt.text.overlap import LONG, MOST, OverlapIndex, training_index
from lightning_gpt.text.typed import read_prompt, unescaped

RULE = "-" * 20  # between two texts
TOGETHER = 64  # texts at most that are computed together: more are no faster, and would be seen later


def generate(
    ckpt_path: str = "best",
    prompt: str | None = None,
    max_new_tokens: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 1337,
    num_samples: int = 1,
    stop: str | None = None,
    unknown: str = "error",
    cached: bool = True,
    bf16: bool = False,
    novelty: bool = False,
    out: str | None = None,
    device: str = "cpu",
    runs_dir: str = "runs",
    data_dir: str = "data",
) -> None:
    r"""Write text with a trained network, each token as it comes.

    Args:
        ckpt_path: A path, or best or last of the newest run.
        prompt: Text to continue; left out, a text begins as the corpus does. - reads it from standard input, @file from
            a file. \n is a line break, \t a tab, \\ a backslash; any other backslash is itself, as in \begin, but
            not before an @ or - that the prompt begins with.
        max_new_tokens: Tokens (characters, of most checkpoints) to write at most.
        temperature: Below 1 bolder, above 1 wilder, 0 always the likeliest token.
        top_k: Draw from the k likeliest tokens only.
        top_p: Draw from the fewest tokens whose probabilities reach p.
        seed: Same seed, same text; sample number i uses seed + i.
        num_samples: How many texts to write; they are computed together.
        stop: End a text before this string; \n, \t and \\ in it as in a prompt.
        unknown: What to do with an unknown character of the prompt: error, skip, or a character to take its place.
        cached: Remember what was read (fast); false reads the whole block again for each token.
        bf16: Multiply in bf16: faster where weights are the limit, with slightly other probabilities.
        novelty: Say how much of each text is copied from the training text.
        out: A file that gets the texts as well, when all are written.
        device: Where to compute: cpu, cuda, mps.
        runs_dir: The folder of all runs.
        data_dir: The folder that fetched and prepared texts are saved in.
    """
    stop = None if stop is None else unescaped(stop)
    sampling = Sampling(max_new_tokens, temperature, top_k, top_p, seed, stop, cached, bf16)
    if num_samples < 1:
        raise UserError(f"num_samples must be at least 1, not {num_samples}")
    if out is not None:
        must_name_a_file(out)  # before anything is written
    given = None if prompt is None else read_prompt(prompt)
    path = find_checkpoint(ckpt_path, runs_dir)
    gpt = load(path, device)
    index = training_text(path, gpt, data_dir) if novelty else None
    text = gpt.readable(given or None, unknown)
    if seed + num_samples > 2**63:
        raise UserError(f"seed must be at most 2^63 less num_samples, not {seed}")
    at_once = min(num_samples, gpt.most_at_once(TOGETHER))
    if out is not None and (said := too_much(num_samples * max(max_new_tokens, 100))):
        raise UserError(f"a file of {num_samples} texts would take {said}: write fewer")
    kept: list[str] = []  # for the file
    for start in range(0, num_samples, at_once):
        number = min(at_once, num_samples - start)
        rows = gpt.streams(number, text, **{**vars(sampling), "seed": seed + start})  # complains before it writes
        if start == 0 and ckpt_path in BY_NAME:
            print(path, file=sys.stderr)
        sys.stdout.write(f"\n{RULE}\n{text}" if start else text.lstrip("\n"))
        columns = []  # a piece of every text
        for column in rows:
            columns.append(column)
            sys.stdout.write(column[0])
            sys.stdout.flush()
            if out is None and lost_output():
                return  # as by: generate | head
        texts = [text + "".join(pieces) for pieces in zip(*columns, strict=True)] or [text] * number
        sys.stdout.write("".join(f"\n{RULE}\n{other}" for other in texts[1:]))  # written together with the first
        if start + number == num_samples:
            sys.stdout.write("\n")
        if index is not None:
            for place, whole in enumerate(texts, start=start + 1):
                said = novel(index, whole[len(text) :])
                print(f"novelty{f' of text {place}' if num_samples > 1 else ''}: {said}", file=sys.stderr)
        if out is not None:
            kept += texts
    if out is not None:
        try:
            with replacing(out) as file:
                file.write(f"\n{RULE}\n".join(kept).encode(errors="replace"))
        except OSError as error:
            raise UserError(f"can't write {out}: {error.strerror or error}") from error


def training_text(path: Path, gpt: TrainedGPT, data_dir: str) -> OverlapIndex:
    """Indexes the text that the network was trained on, to look its own texts up in.

    Raises:
        UserError: it can't be found, is too long, or the network has learned answers only.
    """
    if gpt.answer_after is not None:
        raise UserError("--novelty is for text: this network answers one line at a time, and no answer is a copy")
    tokens = text_of(path, gpt.record, data_dir)
    index = training_index(tokens)
    if index is None:
        size = tokens.length.characters / 1e6
        raise UserError(f"--novelty looks in texts of {MOST / 1e6:.0f} million characters at most; this has {size:.0f}")
    return index


def novel(index: OverlapIndex, written: str) -> str:
    """Describes how much of a text is copied."""
    overlap = index.of(written)
    stretch = written[overlap.at : overlap.at + overlap.longest]
    return (
        f"the longest stretch that occurs in the training text has {overlap.longest} characters, {stretch!r}; "
        f"{overlap.share:.0%} of the text lies in stretches of {LONG} or more"
    )
