"""report: writes a checkpoint and its run to one HTML file that can be mailed."""

import math
import os
from pathlib import Path
from urllib.parse import quote

from lightning_gpt.errors import UserError
from lightning_gpt.files import must_name_a_file, replacing
from lightning_gpt.model import load
from lightning_gpt.report.findings import find_out
from lightning_gpt.report.page import page
from lightning_gpt.runs import Run, find_checkpoint, run_folder
from lightning_gpt.runs.folders import PAGE
from lightning_gpt.runs.text import text_of
from lightning_gpt.text.baselines import baselines
from lightning_gpt.text.typed import read_prompt


def report(
    ckpt_path: str = "best",
    out: str | None = None,
    prompt: str = "",
    seed: int = 1337,
    device: str = "cpu",
    runs_dir: str = "runs",
    data_dir: str = "data",
) -> None:
    """Write what a run has learned to one HTML file: curves, samples, what surprises it, what it looks at.

    Args:
        ckpt_path: A path, or best or last of the newest run.
        out: The file to write; report.html in the run's folder if left out.
        prompt: Text that the samples continue, typed as for generate; left out, they begin as the corpus does.
        seed: Of the samples.
        device: Where to compute: cpu, cuda, mps.
        runs_dir: The folder of all runs.
        data_dir: The folder that fetched and prepared texts are saved in.
    """
    if out is not None:
        must_name_a_file(out)
    path = find_checkpoint(ckpt_path, runs_dir)
    gpt = load(path, device)
    tokens = text_of(path, gpt.record, data_dir)
    folder = run_folder(path)
    run = Run(folder) if folder is not None else None  # a checkpoint by itself has no curves, but all the rest
    logged = run.curves if run is not None else {}
    curves = {
        name: finite
        for name, metric in {"trained on": "train/loss", "held out": "val/loss"}.items()
        if (finite := [(step, loss) for step, loss in logged.get(metric, []) if math.isfinite(loss)])
    }
    found = find_out(gpt, tokens, card(path, run), curves, baselines(tokens), read_prompt(prompt), seed)
    target = Path(out) if out is not None else (folder or path.parent) / "report.html"
    try:
        with replacing(target) as file:
            file.write(page(found, beside(folder, target)).encode())
    except OSError as error:
        raise UserError(f"can't write {target}: {error.strerror or error}") from error
    print(f"{found.loss:.4f} nats per held-out {found.unit}; the report is {target}")


def beside(folder: Path | None, report: Path) -> str | None:
    """Finds the page that runs the run's network, as it is reached from the report."""
    if folder is None or not (live := folder / PAGE).is_file():
        return None
    return quote(os.path.relpath(live, report.resolve().parent))


def card(path: Path, run: Run | None) -> dict[str, str]:
    """Reads the run's card, as it was when the run began, by its rows' heads."""
    if run is None:
        return {"checkpoint": str(path)}
    found = {"run": f"{run.folder.parent.name}/{run.folder.name}", "checkpoint": str(path)}
    name = ""
    for head, said in run.result.card:
        name = {"run": "steps"}.get(head, head) or name
        if name != "folder":
            found[name] = f"{found[name]}; {said}" if name in found else said
    return found
