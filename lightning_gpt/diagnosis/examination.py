"""Examines text, recipe and machine, and measures a few real steps. Findings are plain values; saves no run."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightning_gpt import machine
from lightning_gpt.budget import MEMORISING, duration
from lightning_gpt.diagnosis.words import COPIED, RARE, STEPS
from lightning_gpt.errors import collecting
from lightning_gpt.launch.choice import Chooser
from lightning_gpt.launch.configuration import configure
from lightning_gpt.launch.options import as_arguments, given_options
from lightning_gpt.launch.preparation import Prepared, prepare
from lightning_gpt.launch.trial import A_FIT_OF_ITS_OWN, try_out
from lightning_gpt.launch.within import within_budget
from lightning_gpt.text import Tokens
from lightning_gpt.text.mapped import token_counts
from lightning_gpt.text.overlap import LONG, covered, training_index
from lightning_gpt.text.units import Length

LOOKED_UP = 200_000  # held-out characters whose copies are looked for
BUDGETS = ("2m", "10m", "1h", "3h")
OF_THE_MACHINE = ("trainer.accelerator", "trainer.precision")

OF_A_RECIPE = ("data.block_size", "data.batch_size")


def examine(fit_options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Returns all findings, by section; plain values only, in seconds and bytes.

    Raises:
        UserError: a wrong name or type among the options, or a budget that can't be kept. Whatever else is wrong is a
            finding.
    """
    fit_options, _ = within_budget([*fit_options, *A_FIT_OF_ITS_OWN])
    prepared = prepare(configure("fit", fit_options), saves_nothing=True)
    recipe: dict[str, Any] = {"problems": prepared.problems}
    if not prepared.problems:  # first: what is examined later takes memory, too
        recipe |= examine_recipe(prepared) | measure(prepared, fit_options)
    options = prepared.configuration.config
    here = examine_machine(options.runs_dir, options.trainer.accelerator)
    findings: dict[str, dict[str, Any]] = {"machine": here, "text": {}, "recipe": recipe}
    data = prepared.datamodule
    if data is not None and data.prepared is not None:
        findings["text"] = text = examine_text(data.prepared if prepared.problems else data.tokens)
        text["budgets"] = {}
        if text["examples"] is None:
            with collecting([]):  # whatever is wrong with the machine's options is among the recipe's problems
                text["budgets"] = examine_budgets(fit_options)
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
    return "likely" if passes > MEMORISING and ratio > 0.5 else "possible"


def measure(prepared: Prepared, fit_options: Sequence[str]) -> dict[str, Any]:
    """Measures a few real steps and held-out batches, and predicts the whole run from them; not compiled."""
    options = prepared.configuration.config.trainer
    accumulate, every, steps = options.accumulate_grad_batches, options.val_check_interval, options.max_steps
    trial = try_out([*fit_options, "--model.compile=false"], STEPS)
    validation = trial.held_out + trial.samples
    whole = trial.besides + steps * trial.step + steps * accumulate / every * validation
    return {
        "seconds_per_step": trial.step,
        "seconds_per_validation": validation,
        "expected_seconds": whole if steps > 0 else None,
        "peak_memory_bytes": trial.peak_memory,
    }


def examine_budgets(fit_options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Finds what each budget would train on this text and machine, whatever the recipe says, and what loss to expect.

    One small network is tried out, the others are reckoned from it.
    """
    value = {option.name: option.value for option in given_options(list(fit_options))}
    text = {name: x for name, x in value.items() if name.startswith("data.") or name in OF_THE_MACHINE}
    chooser = Chooser(as_arguments({name: x for name, x in text.items() if name not in OF_A_RECIPE}), named=False)
    chooser.try_out(chooser.plans()[2], 0.0, STEPS)  # a smaller one's steps are too short to be measured well
    choices = {budget: chooser.best(duration(budget)) for budget in BUDGETS}
    return {
        budget: {"choice": str(choice), "steps": choice.steps, "passes": choice.passes, "expected_loss": choice.loss}
        for budget, choice in choices.items()
    }
