"""Examines text, recipe and machine, and measures a few real steps. Findings are plain values; saves no run."""

import contextlib
import io
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt import machine
from lightning_gpt.diagnosis.words import COPIED, RARE, STEPS
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.preparation import Prepared, prepare
from lightning_gpt.launch.running import run
from lightning_gpt.text import Tokens
from lightning_gpt.text.mapped import token_counts
from lightning_gpt.text.overlap import LONG, covered, training_index
from lightning_gpt.text.units import Length

LOOKED_UP = 200_000  # held-out characters whose copies are looked for
# how often networks of one to three parameters a character can read Tiny Shakespeare before val/loss rises, with a
# dropout of 0.1: cpu-10min.yaml's passes
PASSES = 8.0
A_FIT_OF_ITS_OWN = ("--resume=never", "--ckpt_path=null")  # whatever the recipe says
LONG_TEXT = 3_000_000  # characters: more than the two-minute recipe reads once


class Stopwatch(Callback):
    """Measures the seconds of each step and of each held-out batch."""

    def __init__(self) -> None:
        self.steps: list[float] = []  # the first is from the run's start on
        self.held_out: list[float] = []
        self._since = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Ends a step, the drawing of its batch included."""
        self.steps.append(self._lap(pl_module))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock for held-out batches."""
        self._lap(pl_module)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Ends a held-out batch."""
        self.held_out.append(self._lap(pl_module))

    def _lap(self, module: LightningModule) -> float:
        if module.device.type != "cpu":
            torch.accelerator.synchronize(module.device)
        now = time.perf_counter()
        lap, self._since = now - self._since, now
        return lap


def examine(fit_options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns all findings, by section; plain values only, in seconds and bytes.

    Raises:
        UserError: a wrong name or type among the options. Whatever else is wrong is a finding.
    """
    prepared = prepare(configure("fit", [*fit_options, *A_FIT_OF_ITS_OWN]), saves_nothing=True)
    recipe: dict[str, Any] = {"problems": prepared.problems}
    if not prepared.problems:  # first: what is examined later takes memory, too
        recipe |= examine_recipe(prepared) | measure(prepared, fit_options)
    options = prepared.configuration.config
    here = examine_machine(options.runs_dir, options.trainer.accelerator)
    findings: dict[str, dict[str, Any]] = {"machine": here, "text": {}, "recipe": recipe}
    data = prepared.datamodule
    if data is not None and data.prepared is not None:
        findings["text"] = text = examine_text(data.prepared if prepared.problems else data.tokens)
        text["suited_recipe"] = suited(text, here) if text["examples"] is None else None
    return findings


def examine_machine(runs_dir: str, accelerator: object) -> dict[str, Any]:
    """Examines the machine: its parts, its speed, its free disk."""
    here = machine.describe()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "processor": here.processor,
        "cores": here.cores,
        "gpu": here.gpu,
        "memory_bytes": int(here.memory_gb * 1e9),
        "disk_free_bytes": shutil.disk_usage(existing(Path(runs_dir))).free,
        "bf16": here.bf16,
        "compiler": here.compiler,
        "python": here.python,
        "torch": here.torch,
        "fp32_flops": machine.flops(device, torch.float32),
        "bf16_flops": machine.flops(device, torch.bfloat16) if here.bf16 else None,
        "best_precision": machine.best_precision(accelerator),
    }


def existing(folder: Path) -> Path:
    """Finds the folder, or the nearest above it that exists."""
    return next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())


def examine_text(tokens: Tokens) -> dict[str, Any]:
    """Examines the text: its tokens, and whether its held-out part is a fair test of the rest."""
    train, val, tokenizer, length = tokens.train_ids, tokens.val_ids, tokens.tokenizer, tokens.length
    known, held_out = (token_counts(ids, len(tokenizer)) for ids in (train, val))
    counts = known + held_out
    rare = np.flatnonzero((counts > 0) & (counts < RARE))
    ascii_only = all(tokenizer.token_bytes(token).isascii() for token in np.flatnonzero(counts).tolist())
    encoding = (tokens.encoding or "UTF-8").upper() if tokens.is_text else "no text"
    found: dict[str, Any] = {
        "corpus": tokens.corpus,
        "sha256": tokens.sha256,
        "encoding": f"{encoding}, ASCII only" if ascii_only and tokens.is_text else encoding,
        "remarks": list(tokens.remarks),
        "warnings": list(tokens.warnings),
        "characters": length.characters,
        "tokens": length.tokens,
        "unit": tokenizer.unit,
        "distinct": len(tokenizer),
        "rare": {tokenizer.token_text(i): int(counts[i]) for i in rare.tolist()},
        "unseen": [tokenizer.token_text(i) for i in np.flatnonzero((known == 0) & (held_out > 0)).tolist()],
        "train_characters": Length.of(train, tokens.token_lengths).characters,
        "held_out_characters": Length.of(val, tokens.token_lengths).characters,
        "train_tokens": len(train),
        "held_out_tokens": len(val),
        "held_out_copied": None,
        "held_out_copied_long": None,
        "longest_copied": None,
        "examples": None if tokens.examples is None else examine_examples(tokens),
    }
    index = training_index(tokens) if len(train) and len(val) else None
    if index is not None:
        lengths = index.lengths(tokenizer.decode(val[:LOOKED_UP])[:LOOKED_UP])
        found["held_out_copied"] = float(covered(lengths, LONG).mean())
        found["held_out_copied_long"] = float(covered(lengths, COPIED).mean())
        found["longest_copied"] = int(lengths.max())
    return found


def examine_examples(tokens: Tokens) -> dict[str, Any]:
    """Counts lines that are examples, and how many of the held-out ones are among those to train on."""
    train, val = (lines_of(tokens, ids) for ids in (tokens.train_ids, tokens.val_ids))
    known = set(train)
    return {"train": len(train), "held_out": len(val), "held_out_known": sum(line in known for line in val) / len(val)}


def lines_of(tokens: Tokens, ids: np.ndarray) -> list[str]:
    """Splits ids (N,) into the text's lines."""
    return tokens.tokenizer.decode(ids).removesuffix("\n").split("\n")


def suited(text: dict[str, Any], here: dict[str, Any]) -> str:
    """Chooses the shipped recipe for this text on this machine, with blocks that the text can fill."""
    if here["gpu"]:
        recipe, block = "configs/gpu.yaml", 256
    elif text["characters"] > LONG_TEXT:
        recipe, block = "configs/cpu-10min.yaml", 256
    else:
        recipe, block = "configs/cpu.yaml", 256
    fits = min(text["held_out_tokens"], text["train_tokens"]) - 1
    return recipe if fits >= block else f"{recipe} --data.block_size {max(fits // 2, 1)}"


def examine_recipe(prepared: Prepared) -> dict[str, Any]:
    """Examines the recipe: its size, and how it suits the text."""
    model, data, trainer = prepared.made()
    net = model.blueprint(*data.sizes)
    parameters = sum(p.numel() for p in net.parameters())
    length = data.tokens.length
    per_token = length.characters / length.tokens
    ratio = parameters / (len(data.train_ids) * per_token)
    batch = data.tokens_per_batch * trainer.accumulate_grad_batches * trainer.world_size
    # each network of an ensemble reads its share of a batch
    passes = trainer.max_steps * batch / net.n_member / len(data.train_ids) if trainer.max_steps > 0 else None
    return {
        "network": type(net).__name__,
        "parameters": parameters,
        "parameters_per_character": ratio,
        "block_size": data.block_size,
        "blocks": len(data.train_ids) // data.block_size,
        "steps": trainer.max_steps if trainer.max_steps > 0 else None,
        "characters_per_step": round(batch * per_token),
        "passes": passes,
        "dropout": float(net.sizes.get("dropout") or 0.0),
        "noise": data.noise,
        "overfitting": overfitting(ratio / net.n_member, passes),
        "precision": str(trainer.precision),
        "compile": model.compile_network,
        "checkpoint_bytes": 3 * 4 * parameters * 2,  # best and last, each with two moments a weight
    }


def overfitting(ratio: float, passes: float | None) -> str:
    """Judges how likely overfitting is: a text read `passes` times, with `ratio` parameters for each character.

    Args:
        ratio: parameters for each character.
        passes: None for reading it without end.
    """
    if passes is None:
        return "likely"
    if passes <= 2 or ratio < 0.05:
        return "unlikely"
    return "likely" if passes > PASSES and ratio > 0.5 else "possible"


def measure(prepared: Prepared, fit_options: Sequence[str]) -> dict[str, Any]:
    """Measures a few real steps and held-out batches, and predicts the whole run from them; not compiled."""
    options = prepared.configuration.config.trainer
    accumulate, every, steps = options.accumulate_grad_batches, options.val_check_interval, options.max_steps
    short = [
        f"--trainer.max_steps={STEPS}", f"--trainer.val_check_interval={STEPS * accumulate}",
        "--trainer.limit_val_batches=3", "--trainer.log_every_n_steps=0", "--model.compile=false",
        "--model.schedule.warmup_steps=0", *A_FIT_OF_ITS_OWN,
    ]  # fmt: skip
    watch = Stopwatch()
    trial = prepare(configure("fit", [*fit_options, *short]), [watch], saves_nothing=True)
    with contextlib.redirect_stdout(io.StringIO()):
        run(trial)
    step = statistics.median(watch.steps[2 * accumulate :]) * accumulate
    assert trial.datamodule is not None
    validation = statistics.median(watch.held_out) * len(trial.datamodule.val_dataloader())
    return {
        "seconds_per_step": step,
        "seconds_per_validation": validation,
        "expected_seconds": steps * step + steps * accumulate / every * validation if steps > 0 else None,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() or machine.peak_memory(),
    }
