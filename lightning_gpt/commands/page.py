"""page: writes trained networks to one HTML file that computes with them in the browser."""

from pathlib import Path

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.ladder import RUNGS
from lightning_gpt.model import TrainedGPT, load
from lightning_gpt.page.content import Content, Shown
from lightning_gpt.page.html import render
from lightning_gpt.runs import BY_NAME, Run, find_checkpoint, run_folder
from lightning_gpt.runs.config import FILE
from lightning_gpt.runs.folders import PAGE, by_time, film_frames
from lightning_gpt.runs.text import text_of
from lightning_gpt.text.lines import interesting_line

FRAMES = 8  # of a film, at most, beside the trained network
LINE = 48  # tokens of the line that networks are asked about
IDEAS = {rung.network: rung.idea for rung in RUNGS}


def page(
    folder: str | None = None,
    /,
    ckpt_path: str = "best",
    out: str | None = None,
    prompt: str = "",
    line: str = "",
    seed: int = 1337,
    film: bool = True,
    half: bool = False,
    runs_dir: str = "runs",
    data_dir: str = "data",
) -> None:
    """Write a trained network to one HTML file that runs it: write with it, look inside, watch it learn.

    Args:
        folder: A folder of runs, as runs/ladder, to see them side by side.
        ckpt_path: A path, or best or last of the newest run; best or last of each run of a folder.
        out: The file to write; page.html in the run's folder if left out.
        prompt: Text to begin with; the run's first sample's, or a line break, if left out.
        line: Text that networks are asked about, side by side; a line of the held-out text if left out.
        seed: Of what is written first.
        film: Put the steps on the page that a run with --film true has kept.
        half: Keep weights in 16 bits: half the size, and texts that part from generate's sooner or later.
        runs_dir: The folder of all runs.
        data_dir: The folder that fetched and prepared texts are saved in.
    """
    paths = [find_checkpoint(ckpt_path, runs_dir)] if folder is None else checkpoints_in(Path(folder), ckpt_path)
    networks = [shown(path, half, several=len(paths) > 1) for path in paths]
    main = networks[-1].gpt
    home = run_folder(paths[-1])
    frames = film_of(home, networks[-1].step) if film and home is not None and len(paths) == 1 else []
    content = Content(
        title=networks[-1].name if len(paths) == 1 else paths[-1].parents[3].name,
        networks=networks,
        film=frames,
        prompt=prompt or first_prompt(home),
        line=line or held_out_line(paths[-1], main, data_dir),
        seed=seed,
    )
    target = Path(out) if out is not None else Path(folder or home or paths[-1].parent) / PAGE
    text = render(content).encode()
    try:
        with replacing(target) as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"can't write {target}: {error.strerror or error}") from error
    names = f"{len(networks)} networks" if len(networks) > 1 else f"{networks[-1].name}"
    kept = f" and {len(frames)} steps of its training" if frames else ""
    print(f"{names}{kept}, {len(text) / 1e6:.1f} MB; the page is {target}: open it in a browser")


def checkpoints_in(folder: Path, name: str) -> list[Path]:
    """Finds best.ckpt or last.ckpt of a run's folder, or of the newest run of each name in a folder of runs.

    Raises:
        UserError: there is none.
    """
    if name not in BY_NAME:
        raise UserError(f"of a folder's runs --ckpt_path takes best or last, not {name!r}")
    if (folder / "checkpoints").is_dir():
        return [find_checkpoint(folder / "checkpoints" / f"{name}.ckpt")]
    homes = [home for home in sorted(folder.glob("*")) if not is_further_seed(home)]
    found = [by_time(home.glob(f"version_*/checkpoints/{name}.ckpt")) for home in homes]
    newest = [paths[-1] for paths in found if paths]
    if not newest:
        raise UserError(f"no run in {folder}/ has a {name}.ckpt: give a run's folder, or one of runs, as runs/ladder")
    return newest


def is_further_seed(home: Path) -> bool:
    """Tells the runs that ladder --seeds has made beside those of the first seed."""
    stem, dash, seed = home.name.rpartition("-seed")
    return bool(dash) and seed.isdecimal() and home.with_name(stem).is_dir()


def shown(path: Path, half: bool, several: bool) -> Shown:
    """Loads a network, with what is known of it: its name, its idea if it is one of several, its loss."""
    gpt = load(path)
    home = run_folder(path)
    step = sum(origin.steps for origin in gpt.record.provenance) if gpt.record.provenance else None
    if home is None:
        return Shown(gpt, path.stem, step=step, half=half)
    losses = {validation.step: validation.nats_per_token for validation in Run(home).result.validations}
    name = home.parent.name if several else f"{home.parent.name}/{home.name}"
    return Shown(gpt, name, IDEAS.get(type(gpt.network), "") if several else "", step, losses.get(step or 0), half)


def film_of(home: Path, last: int | None) -> list[Shown]:
    """Loads the first weights and the latest others that a run has kept from before step `last`, in 16 bits."""
    kept = [(step, path) for step, path in film_frames(home).items() if last is None or step < last]
    chosen = kept[:1] + kept[1:][1 - FRAMES :]
    return [Shown(load(path), f"step {step}", step=step, half=True) for step, path in chosen]


def first_prompt(home: Path | None) -> str:
    """Reads the prompt of a run's first sample; empty where there is none."""
    if home is None or not (home / FILE).is_file():
        return ""
    sample = Run(home).config.get("sample")
    prompts = sample.get("prompts") if isinstance(sample, dict) else None
    return prompts[0] if isinstance(prompts, list) and prompts and isinstance(prompts[0], str) else ""


def held_out_line(path: Path, gpt: TrainedGPT, data_dir: str) -> str:
    """Finds a line of the held-out text; where that is gone, the network writes one."""
    try:
        ids = text_of(path, gpt.record, data_dir).val_ids
    except UserError:
        return gpt.generate(max_new_tokens=LINE, temperature=0.0)
    return gpt.tokenizer.decode(interesting_line(ids, gpt.tokenizer, LINE))
