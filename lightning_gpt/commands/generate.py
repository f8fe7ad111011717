"""generate: a checkpoint writes on from a prompt. Starts without Lightning."""

import sys
from pathlib import Path

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.generation import load
from lightning_gpt.generation.decoding import check_options
from lightning_gpt.runs import BY_NAME, find_checkpoint

RULE = "-" * 20  # between two texts


def generate(
    ckpt_path: str = "best",
    prompt: str = "\n",
    max_new_tokens: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 1337,
    num_samples: int = 1,
    stop: str | None = None,
    unknown: str = "error",
    cached: bool = True,
    out: str | None = None,
    device: str = "cpu",
    runs_dir: str = "runs",
) -> None:
    """Write text with a trained network, each character as it comes.

    Args:
        ckpt_path: A path, or best or last of the newest run.
        prompt: Text to continue; - reads it from standard input, @file from a file.
        max_new_tokens: Characters to write at most.
        temperature: Below 1 bolder, above 1 wilder, 0 always the likeliest character.
        top_k: Draw from the k likeliest characters only.
        top_p: Draw from the fewest characters whose probabilities reach p.
        seed: Same seed, same text; sample number i uses seed + i.
        num_samples: How many texts to write; they are computed together.
        stop: End a text before this string; \\n in it is a line break.
        unknown: What to do with an unknown character of the prompt: error, skip, or a character to take its place.
        cached: Remember what was read (fast); false reads the whole block again for each character.
        out: A file that gets the texts as well, when all are written.
        device: Where to compute: cpu, cuda, mps.
        runs_dir: The folder of all runs.
    """
    check_options(max_new_tokens, temperature, top_k, top_p)
    if num_samples < 1:
        raise UserError(f"num_samples must be at least 1, not {num_samples}")
    if stop == "":
        raise UserError("stop must not be empty: leave it out to write on to the end")
    if stop is not None:
        stop = stop.replace("\\n", "\n").replace("\\t", "\t")
    text = _read(prompt)
    path = find_checkpoint(ckpt_path, runs_dir)
    gpt = load(path, device)
    gpt.vocabulary.encode(text, unknown)  # complain of the prompt before anything is printed
    if ckpt_path in BY_NAME:
        print(path, file=sys.stderr)
    columns = []  # a piece of every text
    sys.stdout.write(text.lstrip("\n"))
    for column in gpt.streams(
        num_samples, text, max_new_tokens, temperature, top_k, top_p, seed, stop, unknown, cached
    ):
        columns.append(column)
        sys.stdout.write(column[0])
        sys.stdout.flush()
    texts = [text + "".join(pieces) for pieces in zip(*columns, strict=True)] or [text] * num_samples
    sys.stdout.write("".join(f"\n{RULE}\n{other}" for other in texts[1:]) + "\n")  # written together with the first
    if out is not None:
        try:
            with replacing(out) as file:
                file.write(f"\n{RULE}\n".join(texts).encode())
        except OSError as error:
            raise UserError(f"can't write {out}: {error.strerror or error}") from error


def _read(prompt: str) -> str:
    """The prompt itself, or what it points to.

    Raises:
        UserError: no such file, or not UTF-8.
    """
    try:
        if prompt == "-":
            prompt = sys.stdin.buffer.read().decode()
        elif prompt.startswith("@"):
            prompt = Path(prompt[1:]).read_bytes().decode()
    except OSError as error:
        raise UserError(f"can't read the prompt {prompt}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"the prompt is not UTF-8 text: byte {error.start} can't be read") from error
    return prompt.replace("\r\n", "\n") or "\n"  # from nothing: as after a line break
