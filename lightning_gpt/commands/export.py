"""export: writes a checkpoint's network in another program's format."""

from lightning_gpt.exchange import FORMATS
from lightning_gpt.exchange import export as write
from lightning_gpt.model import Record, load
from lightning_gpt.runs import Result, find_checkpoint, run_folder


def export(out: str, *, to: str, ckpt_path: str = "best", runs_dir: str = "runs") -> None:
    """Write a trained network to a folder in another program's format, with a model card.

    Args:
        out: The folder to write; an earlier export there is replaced, anything else is not.
        to: The format: hf (Hugging Face), safetensors, onnx, gguf (llama.cpp), nanogpt.
        ckpt_path: A path, or best or last of the newest run.
        runs_dir: The folder of all runs.
    """
    path = find_checkpoint(ckpt_path, runs_dir)
    gpt = load(path)
    folder = run_folder(path)
    loss = measured(Result.read(folder) if folder is not None else None, gpt.record)
    files = write(gpt, to, out, loss)
    size = sum(file.stat().st_size for file in files)
    print(f"{path} is now {FORMATS[to].help} in {out}, {size:,} bytes")
    print("".join(f"  {file}\n" for file in files), end="")


def measured(result: Result | None, record: Record) -> str | None:
    """Says what a run measured of the checkpoint with this record, if it was validated at that very step."""
    origins = record.provenance
    steps = {sum(origin.steps for origin in origins), origins[-1].steps if origins else 0}
    for validation in result.validations if result is not None else ():
        if validation.step in steps:
            return (
                f"{validation.bits_per_byte:.4f} bits per byte, {validation.nats_per_token:.4f} nats per "
                f"{record.tokenizer.unit}, after {validation.step:,} steps"
            )
    return None
