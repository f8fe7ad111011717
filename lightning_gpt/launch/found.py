"""Takes options from the run that a checkpoint lies in: by known names, of plain types, as data only.

A run's folder may come from anybody. The user who names its checkpoint has not named its config.yaml, so no class of
that file is imported, no path in it is written to, and nothing is started by it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning_gpt.arguments.types import Answer, plain_part, takes
from lightning_gpt.launch.options import CHOICES, Given, choice_options, flattened, known_options
from lightning_gpt.model.trained import TrainedGPT, of_checkpoint
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.folders import run_folder
from lightning_gpt.tokens import names_a_file

TAKEN = (  # of the Trainer's options: those that say how the network learns, not where, nor what else is started
    "max_steps", "val_check_interval", "log_every_n_steps", "limit_val_batches", "accumulate_grad_batches",
    "gradient_clip_val", "gradient_clip_algorithm", "precision", "accelerator", "deterministic",
)  # fmt: skip
NOT_OF_THE_NEXT = (  # of a run on another text
    "name", "runs_dir", "init_from", "data.encoding", "data.endings", "model.schedule.changes",
)  # fmt: skip
NOT_TAKEN = ("config", "ckpt_path", "name", "runs_dir", "resume", "data.data_dir")


@dataclass(frozen=True)
class Found:
    """Options found beside a checkpoint.

    Attributes:
        path: of the checkpoint.
        gpt: what it holds.
        folder: the run's folder, if the checkpoint lies in one.
        defaults: options that hold unless others are given; plain values, classes by the names of our own tables.
        left_out: known options that the run had and that are not taken.
        configured: whether there was a config.yaml; else only the checkpoint's record speaks.
    """

    path: Path
    gpt: TrainedGPT
    folder: Path | None
    defaults: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Any] = field(default_factory=dict)
    configured: bool = True


def found_beside(path: Path, checkpoint: Mapping[str, Any]) -> Found:
    """Takes options from a checkpoint's record, and those that are safe from its run's config.yaml.

    Raises:
        UserError: the checkpoint or the configuration is damaged.
    """
    gpt = of_checkpoint(checkpoint, path)
    record = gpt.record  # whose sizes are those of its weights
    folder = run_folder(path)
    config = read_config(folder / FILE) if folder is not None and (folder / FILE).is_file() else {}
    defaults, left_out = settings(config)
    sizes = {name: size for name, size in record.sizes.items() if name not in ("vocab_size", "block_size")}
    defaults["model.network"] = {"class_path": record.network, "init_args": sizes}
    defaults["data.block_size"] = record.sizes["block_size"]
    if record.corpus is not None:
        defaults.setdefault("data.corpus", record.corpus.source)
        if record.corpus.train_fraction is not None:
            defaults["data.train_fraction"] = record.corpus.train_fraction
            defaults |= {f"data.{name}": getattr(record.corpus, name) for name in ("split", "encoding", "endings")}
        defaults["data.answer_after"] = record.corpus.answer_after
    # a file is named still, and not read: the record has what was in it
    if record.tokenizer.per_character or not names_a_file(str(defaults.get("data.tokenizer"))):
        defaults["data.tokenizer"] = record.tokenizer.kind
    if folder is not None:  # the run goes on in its own folder, wherever that is now
        defaults |= {"name": folder.parent.name, "runs_dir": os.path.relpath(folder.parent.parent)}
    return Found(path, gpt, folder, defaults, left_out, bool(config))


def begun_with(path: Path, checkpoint: Mapping[str, Any], configured: bool) -> Found:
    """Takes the options for a new run that begins with a checkpoint's weights: a new one, perhaps on another text.

    Args:
        path: the checkpoint.
        checkpoint: its contents.
        configured: whether the user gives a configuration; then only what the weights require is taken.

    Raises:
        UserError: the checkpoint or its run's configuration is damaged.
    """
    found = found_beside(path, checkpoint)
    corpus = found.gpt.record.corpus
    taken = {name: value for name, value in found.defaults.items() if name not in NOT_OF_THE_NEXT}
    if configured:
        taken = {name: taken[name] for name in ("model.network", "data.block_size", "data.tokenizer")}
    if corpus is not None:
        taken["data.rehearsal_corpus"] = corpus.source
    return replace(found, defaults=taken, left_out={} if configured else found.left_out)


def settings(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits an untrusted configuration into options that are taken and known ones that are not."""
    taken: dict[str, Any] = {}
    left_out: dict[str, Any] = {}
    given = list(flattened(config, None))
    recipe = _optimizer(given)
    for option in given:
        choice, _, inner = option.name.rpartition(".")
        if option.name in CHOICES or choice == "model.network":
            continue  # the record has the network
        if choice == "model.optimizer":
            if inner in (hints := choice_options(choice, recipe["class_path"])) and _fits(hints[inner], option.value):
                recipe["init_args"][inner] = option.value
            continue
        hint = known_options().get(option.name)
        if hint is None:
            continue
        may_be = option.name not in NOT_TAKEN and (choice != "trainer" or inner in TAKEN)
        (taken if may_be and _fits(hint, option.value) else left_out)[option.name] = option.value
    if recipe["init_args"]:
        taken["model.optimizer"] = recipe
    for name in NOT_TAKEN[:-1]:
        left_out.pop(name, None)
    return taken, left_out


def _optimizer(given: list[Given]) -> dict[str, Any]:
    """Returns the optimizer that is named, if it is one of ours, without its options."""
    named = [str(option.value).rpartition(".")[2] for option in given if option.name == "model.optimizer"]
    known = [name for name in named if name in CHOICES["model.optimizer"]]
    return {"class_path": known[-1] if known else "AdamW", "init_args": {}}


def _fits(hint: Any, value: Any) -> bool:
    plain = plain_part(hint)
    return plain is not None and takes(plain, value) is Answer.YES
