"""ladder: trains the lecture's rungs one after another, and reports on them in a table and two pictures."""

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from lightning_gpt.arguments.program import command
from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.ladder import RUNGS, SingleHeadGPT
from lightning_gpt.ladder.maps import attention_maps
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.preparation import prepare
from lightning_gpt.launch.running import run
from lightning_gpt.model import TrainedGPT
from lightning_gpt.pictures import LOOKS, draw_attention, draw_ladder, png
from lightning_gpt.runs import Run, newest_last
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.text import text_of
from lightning_gpt.text import Tokens
from lightning_gpt.text.baselines import baselines
from lightning_gpt.text.lines import held_out_line

OWN = {
    "--name": ": leave it out",
    "--seed_everything": ": name the seeds by --seeds",
    "--ckpt_path": ": leave it out",
    "--resume": ": leave it out",
}
LINE = 28  # tokens of the held-out line over which the attention of rung 3 is drawn


@dataclass(frozen=True)
class Row:
    """A rung's row of the table; losses in nats per token, exact over the held-out text.

    Attributes:
        rung: its name.
        idea: its one idea.
        parameters: of its network.
        val_loss: with the first seed.
        spread: lowest and highest val_loss of all seeds, if there are several.
        bits_per_char: val_loss in bits per character.
        reference: the loss that the lecture's author wrote beside the step, of characters as tokens.
        seconds: of training.
        sample: a few words that it writes.
    """

    rung: str
    idea: str
    parameters: int
    val_loss: float
    spread: str
    bits_per_char: float
    reference: float | None
    seconds: float
    sample: str


def ladder(
    rungs: str = "1-7",
    configs: str = "configs/ladder",
    seeds: str = "1337",
    runs_dir: str = "runs",
    fit_options: Sequence[str] = (),
) -> None:
    """Train the lecture's rungs in order; table, picture and curves go to <runs_dir>/ladder.

    A rung that is done is not trained again, one that was interrupted goes on; one whose config changed starts anew.

    Args:
        rungs: Which: 3, or 3-5, or 1,3-5.
        configs: Folder of a recipe a rung.
        seeds: Seeds to train each rung with, as 1337,1338,1339: the table then has the spread of their losses.
        runs_dir: Folder of all runs.
        fit_options: Any other option is given to every rung's fit, such as --trainer.max_steps 500.
    """
    names = [word.partition("=")[0] for word in fit_options]
    for option, instead in OWN.items():
        if option in names:
            raise UserError(f"the ladder gives {option} to each rung's fit itself{instead}")
    folder = Path(runs_dir) / "ladder"
    recipes = {number: rung_config(Path(configs), number) for number in chosen(rungs)}
    wanted = numbers(seeds)
    rows: list[Row] = []
    runs: dict[int, Run] = {}
    for number, config in recipes.items():
        trained = [train_rung(number, config, folder, seed, seed != wanted[0], list(fit_options)) for seed in wanted]
        runs[number] = trained[0]
        rows.append(row_of(number, config.stem, trained))
    report(rows, runs, folder)


def numbers(seeds: str) -> list[int]:
    """Parses seeds, such as "1337,1338".

    Raises:
        UserError: anything else.
    """
    try:
        return list(dict.fromkeys(int(seed) for seed in seeds.split(",")))
    except ValueError:
        raise UserError(f"--seeds takes whole numbers, as 1337,1338,1339, not {seeds!r}") from None


def chosen(rungs: str) -> list[int]:
    """Parses numbers of rungs, such as "1,3-5".

    Raises:
        UserError: anything else.
    """
    found: set[int] = set()
    known = range(1, len(RUNGS) + 1)
    try:
        for part in rungs.split(","):
            first, _, last = part.partition("-")
            if int(first) not in known or int(last or first) not in known:
                raise ValueError
            found.update(range(int(first), int(last or first) + 1))
    except ValueError:
        found = set()
    if not found:
        raise UserError(f"--rungs takes numbers from 1 to {len(RUNGS)}, as 3 or 3-5 or 1,3-5, not {rungs!r}")
    return sorted(found)


def rung_config(configs: Path, number: int) -> Path:
    """Finds the rung's own YAML, configs/ladder/<number>-<name>.yaml.

    Raises:
        UserError: there is none.
    """
    found = sorted(configs.glob(f"{number}-*.yaml"))
    if not found:
        raise UserError(f"{configs}/ has no {number}-*.yaml: name the ladder's folder by --configs")
    return found[0]


def train_rung(number: int, config: Path, folder: Path, seed: int, further: bool, fit_options: list[str]) -> Run:
    """Trains the rung, or resumes it, or finds it done; its own output goes to a file beside its runs.

    Args:
        number: of the rung.
        config: its recipe.
        folder: of the ladder.
        seed: of this run.
        further: whether this is not the first seed; its runs then lie in a folder of their own.
        fit_options: further options for the fit.

    Raises:
        UserError: an option that is wrong, or that leaves nothing to make a table of.
    """
    name = f"{config.stem}-seed{seed}" if further else config.stem
    own = [f"--runs_dir={folder}", f"--name={name}", f"--seed_everything={seed}"]
    configuration = configure("fit", [f"--config={config}", *fit_options, *own], command())
    trainer = configuration.config.trainer
    if trainer.logger is not None or trainer.enable_checkpointing is False:
        raise UserError("the ladder reads its runs' folders: leave trainer.logger and enable_checkpointing as they are")
    last = newest_last(folder / name)
    if last is not None and configuration.differences(read_config(last.parent.parent / FILE)):
        last = None
    if last is not None and Run(last.parent.parent).result.finished:
        return Run(last.parent.parent)
    said = config.stem if not further else name
    print(f"rung {number}  {said:16} {'trains' if last is None else 'goes on'} …", flush=True)
    if last is not None:
        configuration.begin_from(last)
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    with (home / "log.txt").open("a", encoding="utf-8") as log, redirect_stdout(log):
        done = run(prepare(configuration))
    assert done is not None and done.result.last is not None
    loss = done.result.last
    print(
        f"        {loss.nats_per_token:.4f} nats  {loss.bits_per_char:.3f} bits/char  {loss.seconds:.1f} s", flush=True
    )
    return done


def row_of(number: int, name: str, runs: Sequence[Run]) -> Row:
    """Makes the rung's row from what its runs have saved: the first one's figures, and the losses of all."""
    result = runs[0].result
    losses = [done.result.last.nats_per_token for done in runs if done.result.last is not None]
    assert result.last is not None
    gpt = runs[0].load("last")
    return Row(
        name,
        RUNGS[number - 1].idea,
        result.parameters,
        result.last.nats_per_token,
        f"{min(losses):.4f} to {max(losses):.4f}" if len(losses) > 1 else "",
        result.last.bits_per_char,
        RUNGS[number - 1].reference if gpt.tokenizer.per_character else None,
        result.last.seconds,
        " ".join(gpt.generate(max_new_tokens=120, seed=1337).split())[:60],
    )


def report(rows: Sequence[Row], runs: Mapping[int, Run], folder: Path) -> None:
    """Writes table, picture of the losses, and rung 3's attention map."""
    curves = {
        row.rung: [(v.step, v.nats_per_token) for v in done.result.validations]
        for row, done in zip(rows, runs.values(), strict=True)
    }
    first = next(iter(runs.values()))
    tokens = text_of(first.last, first.load("last").record, first.config["data"]["data_dir"])
    for number, done in runs.items():
        if RUNGS[number - 1].network is SingleHeadGPT:
            save(folder / "attention.png", png(attention_map(done.load("last"), tokens)))
    table = markdown(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    save(folder / "table.md", table.encode())
    save(folder / "table.csv", text.getvalue().encode())
    picture = draw_ladder(curves, baselines(tokens), tokens.tokenizer.unit)
    save(folder / "ladder.png", png(picture.quantize(64)))
    print(f"\n{table}\ntable, picture and curves are in {folder}/")


def markdown(rows: Sequence[Row]) -> str:
    """Formats the rows as a Markdown table."""
    spread = " spread over seeds |" if any(row.spread for row in rows) else ""
    head = f"| rung | idea | parameters | val loss |{spread} bits/char | reference | s | it writes |\n"
    head += "|" + "---|" * (9 if spread else 8) + "\n"
    lines = []
    for row in rows:
        reference = "" if row.reference is None else str(row.reference)
        sample = row.sample.replace("|", "\\|").replace("`", "'")
        lines.append(
            f"| {row.rung} | {row.idea} | {row.parameters:,} | {row.val_loss:.4f} "
            f"{f'| {row.spread} ' if spread else ''}| {row.bits_per_char:.3f} "
            f"| {reference} | {row.seconds:.0f} | `{sample}` |\n"
        )
    return head + "".join(lines)


def attention_map(gpt: TrainedGPT, tokens: Tokens) -> Image.Image:
    """Draws the attention of a trained rung 3 over a held-out line, several blocks long.

    Each token looks back over the block that ends with it, as when text is written.
    """
    ids = held_out_line(tokens, LINE)
    whole = np.zeros((1, len(ids), len(ids)))
    for end in range(1, len(ids) + 1):
        start = max(end - gpt.network.block_size, 0)
        whole[0, end - 1, start:end] = attention_maps(gpt.network, ids[start:end])[0, 0, -1].numpy()
    labels = [gpt.tokenizer.token_text(token) for token in ids.tolist()]
    return draw_attention(whole, labels, "rung 3: what its one head looks at", cell=20, words=LOOKS)


def save(path: Path, contents: bytes) -> None:
    """Writes a file whole or not at all."""
    with replacing(path) as file:
        file.write(contents)
