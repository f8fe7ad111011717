"""doctor: do this text, this recipe and this machine suit each other, and how long will it take? Keeps no run."""

import argparse
import contextlib
import io
import json
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt import machine
from lightning_gpt.commands.diagnosis import COPIED, RARE, STEPS, in_words
from lightning_gpt.commands.lightning import RunCLI, is_rank_zero
from lightning_gpt.commands.parsing import parse_some
from lightning_gpt.errors import UserError
from lightning_gpt.text import Tokens
from lightning_gpt.text.mapped import token_counts
from lightning_gpt.text.overlap import LONG, covered, training_index

LOOKED_UP = 200_000  # held-out characters whose copies are looked for
# how often networks of one to three parameters a character can read Tiny Shakespeare before val/loss turns, with a
# dropout of 0.1: cpu-10min.yaml's passes
PASSES = 8.0
LONG_TEXT = 3_000_000  # characters: more than the two-minute recipe reads once


# whatever the recipe says: a fit of its own that leaves nothing behind
KEPT_NOTHING = (
    "--trainer.logger=false", "--trainer.enable_progress_bar=false", "--resume=never", "--ckpt_path=null",
)  # fmt: skip


class Patient(RunCLI):
    """A fit made ready and not run; what stands in its way is written down instead of told at once."""

    def __init__(self, args: list[str]) -> None:
        self.problems: list[str] = []
        super().__init__("fit", [*args, *KEPT_NOTHING])

    def after_instantiate_classes(self) -> None:
        """As for a fit, as far as it goes."""
        try:
            super().after_instantiate_classes()
        except UserError as error:
            self.problems.append(str(error))


class Stopwatch(Callback):
    """Seconds of each step and of each held-out batch."""

    def __init__(self) -> None:
        self.steps: list[float] = []  # the first is from the run's start on
        self.held_out: list[float] = []
        self._since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """A step, with the drawing of its batch."""
        self.steps.append(self._lap(pl_module))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Held-out batches begin."""
        self._lap(pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """A held-out batch."""
        self.held_out.append(self._lap(pl_module))

    def _lap(self, module: LightningModule) -> float:
        if module.device.type != "cpu":
            torch.accelerator.synchronize(module.device)
        now = time.perf_counter()
        lap, self._since = now - self._since, now
        return lap


def doctor(args: list[str]) -> dict[str, dict[str, Any]]:
    """All findings, by section; plain values only, seconds and bytes as they are.

    Args:
        args: options as for fit.
    """
    patient = Patient(args)
    options = patient.config_init["fit"]
    recipe: dict[str, Any] = {"problems": patient.problems}
    if not patient.problems:  # first: what is examined later takes memory, too
        recipe |= examine_recipe(patient) | measure(args, options)
    findings: dict[str, dict[str, Any]] = {"machine": examine_machine(patient), "text": {}, "recipe": recipe}
    if patient.datamodule.prepared is not None:
        findings["text"] = examine_text(patient.datamodule.prepared)
        findings["text"]["suited_recipe"] = suited(findings["text"], findings["machine"])
    return findings


def examine_machine(patient: RunCLI) -> dict[str, Any]:
    """What it is, and what is left of it."""
    here = machine.describe()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "processor": here.processor,
        "cores": here.cores,
        "gpu": here.gpu,
        "memory_bytes": int(here.memory_gb * 1e9),
        "disk_free_bytes": shutil.disk_usage(existing(Path(patient.config["fit"].runs_dir))).free,
        "bf16": here.bf16,
        "compiler": here.compiler,
        "python": here.python,
        "torch": here.torch,
        "fp32_flops": machine.flops(device, torch.float32),
        "bf16_flops": machine.flops(device, torch.bfloat16) if here.bf16 else None,
        "best_precision": machine.best_precision(patient.config_init["fit"].trainer.accelerator),
    }


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())


def examine_text(tokens: Tokens) -> dict[str, Any]:
    """What is in it, and whether its held-out part is a fair test of the rest."""
    train, val, tokenizer, length = tokens.train_ids, tokens.val_ids, tokens.tokenizer, tokens.length
    known, held_out = (token_counts(ids, len(tokenizer)) for ids in (train, val))
    counts = known + held_out
    found: dict[str, Any] = {
        "corpus": tokens.corpus,
        "sha256": tokens.sha256,
        "encoding": "UTF-8, ASCII only" if length.characters == length.bytes else "UTF-8",
        "remarks": list(tokens.remarks),
        "characters": length.characters,
        "distinct": len(tokenizer),
        "rare": {tokenizer.token_text(i): int(counts[i]) for i in np.flatnonzero(counts < RARE).tolist()},
        "unseen": [tokenizer.token_text(i) for i in np.flatnonzero((known == 0) & (held_out > 0)).tolist()],
        "train_characters": len(train),
        "held_out_characters": len(val),
        "held_out_copied": None,
        "held_out_copied_long": None,
        "longest_copied": None,
    }
    index = training_index(tokens) if len(train) and len(val) else None
    if index is not None:
        lengths = index.lengths(tokenizer.decode(val[:LOOKED_UP]))
        found["held_out_copied"] = float(covered(lengths, LONG).mean())
        found["held_out_copied_long"] = float(covered(lengths, COPIED).mean())
        found["longest_copied"] = int(lengths.max())
    return found


def suited(text: dict[str, Any], here: dict[str, Any]) -> str:
    """The shipped recipe for this text on this machine, with what must be changed for the text to fill its blocks."""
    if here["gpu"]:
        recipe, block = "configs/gpu.yaml", 256
    elif text["characters"] > LONG_TEXT:
        recipe, block = "configs/cpu-10min.yaml", 256
    else:
        recipe, block = "configs/cpu.yaml", 256
    fits = min(text["held_out_characters"], text["train_characters"]) - 1
    return recipe if fits >= block else f"{recipe} --data.block_size {max(fits // 2, 1)}"


def examine_recipe(patient: RunCLI) -> dict[str, Any]:
    """How it suits the text."""
    data, model, trainer = patient.datamodule, patient.model, patient.trainer
    with torch.device("meta"):
        net = model.make_checked(data)
    parameters = sum(p.numel() for p in net.parameters())
    batch = data.block_size * data.batch_size * trainer.accumulate_grad_batches * trainer.world_size
    # each network of an ensemble reads its share of a batch
    passes = trainer.max_steps * batch / net.n_member / len(data.train_ids) if trainer.max_steps > 0 else None
    return {
        "network": type(net).__name__,
        "parameters": parameters,
        "parameters_per_character": parameters / len(data.train_ids),
        "block_size": data.block_size,
        "blocks": len(data.train_ids) // data.block_size,
        "steps": trainer.max_steps if trainer.max_steps > 0 else None,
        "characters_per_step": batch,
        "passes": passes,
        "dropout": float(net.sizes.get("dropout") or 0.0),
        "noise": data.noise,
        "overfitting": overfitting(parameters / net.n_member / len(data.train_ids), passes),
        "precision": str(trainer.precision),
        "compile": model.compile_network,
        "checkpoint_bytes": 3 * 4 * parameters * 2,  # best and last, each with two moments a weight
    }


def overfitting(ratio: float, passes: float | None) -> str:
    """What is to be expected of reading a text `passes` times with `ratio` parameters for each of its characters.

    Args:
        ratio: parameters for each character.
        passes: None for reading it without end.
    """
    if passes is None:
        return "likely"
    if passes <= 2 or ratio < 0.05:
        return "unlikely"
    return "likely" if passes > PASSES and ratio > 0.5 else "possible"


def measure(args: list[str], options: Any) -> dict[str, Any]:
    """A few real steps and held-out batches, and what they come to for the whole run; not compiled."""
    accumulate = options.trainer.accumulate_grad_batches
    short = [
        f"--trainer.max_steps={STEPS}", f"--trainer.val_check_interval={STEPS * accumulate}",
        "--trainer.limit_val_batches=3", "--trainer.log_every_n_steps=0", "--sample.max_new_tokens=0",
        "--model.compile=false",
        "--model.schedule.warmup_steps=0", "--overfitting.patience=0", *KEPT_NOTHING,
    ]  # fmt: skip
    cli = RunCLI("fit", [*args, *short])
    watch = Stopwatch()
    cli.trainer.callbacks = [watch]  # type: ignore[attr-defined]  # nothing that prints, nothing that keeps
    with contextlib.redirect_stdout(io.StringIO()):
        cli.start()
    step = statistics.median(watch.steps[2 * accumulate :]) * accumulate
    batches = len(cli.datamodule.val_dataloader())
    validation = statistics.median(watch.held_out) * batches
    steps = options.trainer.max_steps
    every = options.trainer.val_check_interval
    validations = steps * accumulate / every if isinstance(every, int) else 0
    return {
        "seconds_per_step": step,
        "seconds_per_validation": validation,
        "expected_seconds": steps * step + validations * validation if steps > 0 else None,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() or machine.peak_memory(),
    }


def run(args: list[str]) -> None:
    """Runs the command with the command line's arguments; what it does not know goes to the fit that is examined."""
    parser = argparse.ArgumentParser(
        prog="lightning-gpt doctor",
        description="Say whether text, recipe and machine suit each other, and how long training will take.",
        epilog="Any other option is one of fit's: --config configs/cpu.yaml, --data.corpus book.txt. No run is kept.",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON: seconds, bytes, FLOP/s")
    given, rest = parse_some(parser, args)
    with contextlib.redirect_stdout(sys.stderr) if given.json else contextlib.nullcontext():
        findings = doctor(rest)
    if not is_rank_zero():
        return  # Lightning started this process to measure several devices
    print(json.dumps(findings, indent=2, ensure_ascii=False) if given.json else in_words(findings))
