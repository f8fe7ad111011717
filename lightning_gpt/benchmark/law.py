"""Repeats the runs that the law of budgets is fitted to, one after the other, and prints each beside the law.

    python -m lightning_gpt.benchmark.law --members 1

A run whose folder is there is not repeated. What the table does not say of a run is what a budget would take today, so
take a new --runs_dir after that has changed. With --keep the package's own table is replaced.
"""

import argparse
import csv
import subprocess
import sys
from dataclasses import asdict, astuple, replace
from pathlib import Path

from lightning_gpt.budget.law import MEASURED, Law, Measured, fit, read_measured
from lightning_gpt.runs.result import Result
from lightning_gpt.text import find_corpus


def options_of(run: Measured, text: Path, fraction: float) -> list[str]:
    """Returns the options of a fit that repeats a run on a text whose first `fraction` is trained on."""
    _, read, unique, _ = run.sizes
    chosen = run.plan.options(read / unique, unique) | {
        "data.corpus": text,
        "data.train_fraction": fraction,
        "model.network.dropout": run.dropout,
        "model.optimizer.weight_decay": run.weight_decay,
        "trainer.max_steps": run.steps,
        "trainer.val_check_interval": run.steps // 5,
    }
    return [f"--{name}={value}" for name, value in chosen.items()]


def repeated(run: Measured, runs_dir: Path, text: str) -> Measured:
    """Trains what a run trained, if its folder is not there, and returns it with the loss that is measured now.

    Args:
        run: what to repeat.
        runs_dir: the folder of all of them.
        text: Tiny Shakespeare.
    """
    held_out = text[len(text) * 9 // 10 :]
    part = text[: len(text) * 9 // 10][-run.unique :] + held_out
    file = runs_dir / f"last-{run.unique}.txt"
    file.write_text(part, encoding="utf-8")
    name = "-".join(map(str, astuple(run)[:-1]))  # all but the loss
    folder = runs_dir / name / "version_0"
    if not folder.exists():
        where = [f"--runs_dir={runs_dir}", f"--name={name}"]
        options = options_of(run, file, 1 - len(held_out) / len(part))
        subprocess.run([sys.executable, "-m", "lightning_gpt", "fit", *where, *options], check=True)
    result = Result.read(folder)
    assert result is not None and result.finished and result.best is not None, f"{folder} is not finished"
    return replace(run, loss=round(result.best.nats_per_token, 4))


def row(run: Measured, law: Law) -> str:
    """Formats a run beside what the law expects."""
    plan, (_, read, unique, _) = run.plan, run.sizes
    size = f"{plan.n_member} x {plan.n_layer} blocks of {plan.n_embd}"
    return f"{size:20} {unique:>9,} {read:>10,} {run.loss:.4f} {law(*run.sizes):.4f}"  # type: ignore[arg-type]


def main() -> None:
    """Repeats all runs, or those of so many networks; prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs_dir", type=Path, default=Path("runs/law"))
    parser.add_argument("--data_dir", type=Path, default=Path("data"))
    parser.add_argument("--members", type=int, help="repeat runs of so many networks only")
    parser.add_argument("--print", action="store_true", help="repeat none, print the table as it is")
    parser.add_argument("--keep", action="store_true", help="replace the package's table")
    options = parser.parse_args()
    runs = read_measured()
    if not options.print:
        options.runs_dir.mkdir(parents=True, exist_ok=True)
        text = b"".join(find_corpus("tinyshakespeare", options.data_dir, None).chunks()).decode()
        runs = [
            repeated(run, options.runs_dir, text) if options.members in (None, run.n_member) else run for run in runs
        ]
    law = fit(runs)
    print(law)
    print("\n".join(["network               of text       read   loss    law", *(row(run, law) for run in runs)]))
    if options.keep:
        with MEASURED.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(runs[0])), lineterminator="\n")
            writer.writeheader()
            writer.writerows(map(asdict, runs))


if __name__ == "__main__":
    main()
