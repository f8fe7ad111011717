"""ladder: trains the lecture's rungs one after another and tells the story as a table and two pictures."""

import argparse
import csv
import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lightning_gpt.commands import lightning
from lightning_gpt.commands.parsing import parse_some
from lightning_gpt.commands.texts import text_of_run
from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.ladder import RUNGS, OneHead
from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.model import checkpoint, load
from lightning_gpt.pictures import draw_attention, draw_ladder, png
from lightning_gpt.runs import logged, newest_last, run_config
from lightning_gpt.text.baselines import baselines

LINE = "We know, "  # of the first page: what rung 3's head looks at in it is drawn


@dataclass(frozen=True)
class Row:
    """What the table says of a rung; losses in nats per character, exact over the held-out text."""

    rung: str
    idea: str
    parameters: int
    val_loss: float
    bits_per_char: float
    reference: float | None
    seconds: float
    sample: str


def ladder(
    rungs: str = "1-7", configs: str = "configs/ladder", runs_dir: str = "runs", args: Sequence[str] = ()
) -> None:
    """Train the lecture's rungs in order and write table, picture and curves to <runs_dir>/ladder.

    A rung that is done is not trained again, one that was interrupted goes on; one whose config changed starts anew.

    Args:
        rungs: which: 3, or 3-5, or 1,3-5.
        configs: the folder of base.yaml and a file a rung.
        runs_dir: the folder of all runs.
        args: further options for every rung, as for fit.
    """
    folder = Path(runs_dir) / "ladder"
    recipes = {number: rung_config(Path(configs), number) for number in chosen(rungs)}
    for number, config in recipes.items():
        train_rung(number, config, folder, list(args))
    report(recipes, folder)


def chosen(rungs: str) -> list[int]:
    """The numbers that "1,3-5" means.

    Raises:
        UserError: anything else.
    """
    numbers: set[int] = set()
    try:
        for part in rungs.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    except ValueError:
        numbers = set()
    if not numbers or not numbers <= set(range(1, len(RUNGS) + 1)):
        raise UserError(f"--rungs takes numbers from 1 to {len(RUNGS)}, as 3 or 3-5 or 1,3-5, not {rungs!r}")
    return sorted(numbers)


def rung_config(configs: Path, number: int) -> Path:
    """The rung's own YAML, configs/ladder/<number>-<name>.yaml.

    Raises:
        UserError: there is none.
    """
    found = sorted(configs.glob(f"{number}-*.yaml"))
    if not found or not (configs / "base.yaml").is_file():
        raise UserError(f"{configs}/ has no base.yaml and {number}-*.yaml: name the ladder's folder by --configs")
    return found[0]


def train_rung(number: int, config: Path, folder: Path, args: list[str]) -> None:
    """Trains the rung, or goes on with it, or finds it done; its own output goes to a file beside its runs."""
    home = folder / config.stem
    options = [f"--config={config.with_name('base.yaml')}", f"--config={config}", f"--runs_dir={folder}", *args]
    cli = lightning.RunCLI("fit", options)
    last = newest_last(home)
    if last is not None and cli.differences(last.parent.parent):
        last = None
    if last is not None and checkpoint.read(last)["global_step"] >= cli.trainer.max_steps:
        return
    print(f"rung {number}  {config.stem:16} {'trains' if last is None else 'goes on'} …", flush=True)
    home.mkdir(parents=True, exist_ok=True)
    with (home / "log.txt").open("a", encoding="utf-8") as log, redirect_stdout(log):
        (cli if last is None else lightning.RunCLI("fit", [*options, f"--ckpt_path={last}"])).start()
    row = row_of(number, config.stem, home)
    print(f"        {row.val_loss:.4f} nats  {row.bits_per_char:.3f} bits/char  {row.seconds:.1f} s", flush=True)


def row_of(number: int, name: str, home: Path) -> Row:
    """All that the table says, from what the rung's newest run has kept."""
    last = newest_last(home)
    assert last is not None
    contents = checkpoint.read(last)
    gpt = load(last)
    loss = val_curve(last)[-1][1]
    return Row(
        name,
        RUNGS[number - 1].idea,
        sum(p.numel() for p in gpt.network.parameters()),
        loss,
        logged(last.parent.parent)["val/bits_per_char"][-1][1],
        RUNGS[number - 1].reference,
        contents["callbacks"]["Speed"]["training_seconds"],
        " ".join(gpt.generate(max_new_tokens=120, seed=1337).split())[:60],
    )


def val_curve(last: Path) -> list[tuple[int, float]]:
    """(steps done, val/loss) of the run, from its TensorBoard events."""
    return [(step + 1, value) for step, value in logged(last.parent.parent)["loss/val"]]


def report(recipes: dict[int, Path], folder: Path) -> None:
    """Table, picture, and the attention map of rung 3, of these rungs."""
    rows, curves, data = [], {}, {}
    for number, config in recipes.items():
        rows.append(row_of(number, config.stem, folder / config.stem))
        last = newest_last(folder / config.stem)
        assert last is not None
        curves[config.stem] = val_curve(last)
        data = run_config(last.parent.parent)["data"]
        if RUNGS[number - 1].network is OneHead:
            keep(folder / "attention.png", png(attention_map(last)))
    table = markdown(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    keep(folder / "table.md", table.encode())
    keep(folder / "table.csv", text.getvalue().encode())
    tokens = text_of_run(data)
    keep(folder / "ladder.png", png(draw_ladder(curves, baselines(tokens), tokens.tokenizer.unit)))
    print(f"\n{table}\ntable, picture and curves are in {folder}/")


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = "| rung | idea | parameters | val loss | bits/char | reference | s | it writes |\n|" + "---|" * 8 + "\n"
    lines = []
    for row in rows:
        reference = "" if row.reference is None else str(row.reference)
        sample = row.sample.replace("|", "\\|").replace("`", "'")
        lines.append(
            f"| {row.rung} | {row.idea} | {row.parameters:,} | {row.val_loss:.4f} | {row.bits_per_char:.3f} "
            f"| {reference} | {row.seconds:.0f} | `{sample}` |\n"
        )
    return head + "".join(lines)


def attention_map(last: Path) -> Any:
    """What the head of a trained rung 3 looks at in a line of Shakespeare, a block long."""
    gpt = load(last)
    ids = gpt.tokenizer.encode(LINE, unknown="skip")[: gpt.network.block_size]
    maps = attention_maps(gpt.network, ids)[0].numpy()
    labels = [gpt.tokenizer.token_text(token) for token in ids.tolist()]
    return draw_attention(maps, labels, "rung 3: what its one head looks at", cell=40)


def keep(path: Path, contents: bytes) -> None:
    """Writes a file whole."""
    with replacing(path) as file:
        file.write(contents)


def run(args: list[str]) -> None:
    """Runs the command with the command line's arguments; what it does not know goes to every rung's fit."""
    parser = argparse.ArgumentParser(
        prog="lightning-gpt ladder",
        description="Train the lecture's rungs in order; table, picture and curves go to <runs_dir>/ladder.",
        epilog="Any other option is given to every rung's fit, such as --trainer.max_steps 500.",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--rungs", default="1-7", help="which: 3, or 3-5, or 1,3-5 (default: 1-7)")
    parser.add_argument("--configs", default="configs/ladder", help="folder of base.yaml and a file a rung")
    parser.add_argument("--runs_dir", default="runs", help="folder of all runs")
    given, rest = parse_some(parser, args)
    ladder(given.rungs, given.configs, given.runs_dir, rest)
