"""report: a checkpoint and its run as one HTML file that can be mailed."""

from pathlib import Path

from lightning_gpt.commands.texts import text_of
from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.model import load
from lightning_gpt.report.findings import find_out
from lightning_gpt.report.page import page
from lightning_gpt.runs import find_checkpoint, logged, run_folder
from lightning_gpt.text.baselines import baselines


def report(
    ckpt_path: str = "best",
    out: str | None = None,
    prompt: str = "",
    seed: int = 1337,
    device: str = "cpu",
    runs_dir: str = "runs",
) -> None:
    """Write what a run has learned to one HTML file: curves, samples, what surprises it, what it looks at.

    Args:
        ckpt_path: A path, or best or last of the newest run.
        out: The file to write; report.html in the run's folder if left out.
        prompt: Text that the samples continue; a line break if left out.
        seed: Of the samples.
        device: Where to compute: cpu, cuda, mps.
        runs_dir: The folder of all runs.
    """
    path = find_checkpoint(ckpt_path, runs_dir)
    gpt = load(path, device)
    tokens = text_of(path, gpt.record)
    folder = run_folder(path)
    assert folder is not None
    known = logged(folder)
    curves = {
        name: [(step + 1, value) for step, value in known[tag]]
        for name, tag in {"trained on": "loss/train", "held out": "loss/val"}.items()
        if tag in known
    }
    found = find_out(gpt, tokens, card(path, folder, known), curves, baselines(tokens), prompt, seed)
    target = Path(out) if out is not None else folder / "report.html"
    try:
        with replacing(target) as file:
            file.write(page(found).encode())
    except OSError as error:
        raise UserError(f"can't write {target}: {error.strerror or error}") from error
    print(f"{found.loss:.4f} nats per held-out {found.unit}; the report is {target}")


def card(path: Path, folder: Path, known: dict[str, list[tuple[int, object]]]) -> dict[str, str]:
    """The run's card, as it was when the run began, by its lines' heads."""
    found = {"run": f"{folder.parent.name}/{folder.name}", "checkpoint": str(path)}
    head = ""
    texts = known.get("run/text_summary", [])
    if texts and isinstance(texts[0][1], bytes):
        for line in texts[0][1].decode().splitlines():
            if len(line) > 4 and not line[4:].startswith(" "):
                head = line[4:].split()[0]
            if head and head != "folder" and (said := line[4:].removeprefix(head).strip()):
                name = "steps" if head == "run" else head
                found[name] = f"{found[name]}; {said}" if name in found else said
    return found
