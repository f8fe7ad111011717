"""The second of three steps: data, network and Trainer are made, and all that is wrong with them is found at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer

from lightning_gpt.errors import UserError, collecting
from lightning_gpt.launch.checks import trainer_problems
from lightning_gpt.launch.configuration import Configuration, Stage, quiet
from lightning_gpt.launch.options import CHOICES
from lightning_gpt.launch.program import version
from lightning_gpt.machine import best_precision, keep_freed_memory, on_gpu
from lightning_gpt.model import Record
from lightning_gpt.runs.resume import must_be_the_text
from lightning_gpt.text import HeldOutBlocks, find_corpus
from lightning_gpt.training import (
    CharDataModule,
    LanguageModel,
    Overfitting,
    SafeCheckpoints,
    SampleText,
    Schedule,
    displays,
    progress_bar,
    savers,
)


@dataclass
class Prepared:
    """A run that can begin, or what stands in its way.

    Attributes:
        configuration: what it was made of.
        problems: each in a line with its remedy; empty if the run can begin.
        datamodule: its text, read as far as that goes; None if it could not be described.
        model: its network; None as long as there are problems.
        trainer: its Trainer; None as long as there are problems.
        has_folder: whether the run is to lie in a folder of our making.
    """

    configuration: Configuration
    problems: list[str] = field(default_factory=list)
    datamodule: CharDataModule | None = None
    model: LanguageModel | None = None
    trainer: Trainer | None = None
    has_folder: bool = False

    def made(self) -> tuple[LanguageModel, CharDataModule, Trainer]:
        """Returns what can begin.

        Raises:
            UserError: all the problems.
        """
        if self.problems:
            raise UserError.of(self.problems)
        assert self.model is not None and self.datamodule is not None and self.trainer is not None
        return self.model, self.datamodule, self.trainer


def prepare(
    configuration: Configuration, callbacks: Sequence[Callback] = (), *, keeps_nothing: bool = False
) -> Prepared:
    """Makes data, network and Trainer as configured; finds what would stop the run, before it has a folder.

    Args:
        configuration: see `configure`.
        callbacks: further ones for the Trainer.
        keeps_nothing: of all callbacks take only these; no folder, no checkpoint, no display.
    """
    keep_freed_memory()
    prepared = Prepared(configuration)
    _choose_precision(prepared)
    _find_value_problems(prepared)
    with collecting(prepared.problems):
        prepared.datamodule = data = _text(configuration)
        data.prepare_data()
        data.setup(configuration.stage)
        configuration.config.data.corpus = data.corpus  # the stand-in, if it had to be taken
    _find_network_problems(prepared)
    if not prepared.problems:
        with collecting(prepared.problems):
            _make(prepared, callbacks, keeps_nothing)
    return prepared


def _choose_precision(prepared: Prepared) -> None:
    """Chooses a fit's precision by the machine, if it was left open; a loss that is only measured is exact."""
    options = prepared.configuration.config.trainer
    if options.precision is None:
        fits = prepared.configuration.stage == "fit"
        options.precision = best_precision(options.accelerator) if fits else "32-true"
    elif str(options.precision).startswith("16") and not on_gpu(options.accelerator):
        prepared.problems.append(
            f"--trainer.precision {options.precision} needs a GPU, and this run is on the CPU: "
            "take 32-true or bf16-mixed"
        )


def _find_value_problems(prepared: Prepared) -> None:
    """Tries each part by itself, so that no fault hides another."""
    config, problems = prepared.configuration.config, prepared.problems
    problems += trainer_problems(config.trainer)
    if config.save_every_n_steps is not None and config.save_every_n_steps < 1:
        problems.append(f"--save_every_n_steps must be at least 1, not {config.save_every_n_steps}")
    with collecting(problems):
        SampleText(**config.sample)
    with collecting(problems):
        Overfitting(**config.overfitting)
    with collecting(problems):
        Schedule(**config.model.schedule).check(config.trainer.max_steps)
    recipe = _chosen(config.model.optimizer, "model.optimizer")
    if recipe is not None:
        with collecting(problems):
            recipe(**config.model.optimizer.get("init_args", {})).check()


def _find_network_problems(prepared: Prepared) -> None:
    """Tries the network's sizes, also where the text has a fault of its own."""
    config, data = prepared.configuration.config, prepared.datamodule
    network = _chosen(config.model.network, "model.network")
    if network is None:
        return
    vocab_size = len(data.prepared.tokenizer) if data is not None and data.prepared is not None else 1
    sizes = config.model.network.get("init_args", {})
    with collecting(prepared.problems):
        LanguageModel(partial(network, **sizes)).blueprint(vocab_size, max(1, config.data.block_size))


def _chosen(given: Any, option: str) -> Any:
    """The class of ours that is chosen; None for one of the user's own, or none."""
    return None if given is None else CHOICES[option].get(given.class_path.rpartition(".")[2])


def _text(configuration: Configuration) -> CharDataModule:
    """The run's text, described but not read; if it was found beside a checkpoint, it is the one trained on."""
    data = CharDataModule(**configuration.config.data)
    found = configuration.found
    if found is None or data.corpus != found.defaults.get("data.corpus"):
        return data
    assert configuration.saved is not None and configuration.checkpoint is not None
    then = Record.of(configuration.saved, configuration.checkpoint).corpus
    corpus = find_corpus(data.corpus, data.data_dir, data.offline_corpus)
    # before a byte of it is prepared: whoever sent the folder may have named any file of this machine
    must_be_the_text(corpus.name, then.sha256 if then else "", corpus.sha256(), "name a text by --data.corpus")
    return data


def _make(prepared: Prepared, callbacks: Sequence[Callback], keeps_nothing: bool) -> None:
    """Makes the run's parts.

    Raises:
        UserError: what only the parts together can tell.
    """
    configuration = prepared.configuration
    config, stage = configuration.config, configuration.stage
    configuration.config_init = made = configuration.parser.instantiate(config)
    given = made.trainer
    further = [*as_list(given.callbacks), *callbacks, SafeCheckpoints()]
    options: dict[str, Any] = {"enable_checkpointing": False, "logger": False}
    if stage == "fit" and not keeps_nothing:
        saves = given.logger is not False and given.enable_checkpointing is not False
        further += displays(configuration.command, version())
        further += savers(made.save_every_n_steps) if saves else []
        prepared.has_folder = given.logger in (None, True)
        options = {} if saves else {"enable_checkpointing": False}
        if prepared.has_folder:
            options["logger"] = False  # until the run has its folder
    bar = [] if keeps_nothing else progress_bar(given.enable_progress_bar)
    further += bar
    options["enable_progress_bar"] = bool(bar)
    if stage != "fit" or given.logger is False or keeps_nothing:
        configuration.save_config_callback = None
    try:
        with quiet("lightning.pytorch.utilities.rank_zero"):  # the run's card says what is used
            trainer = configuration.instantiate_trainer(callbacks=further, **options)
    except (MisconfigurationException, ImportError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    started = os.environ.get("WORLD_SIZE", "")  # by torchrun: else each process would be a run of its own
    if "TORCHELASTIC_RUN_ID" in os.environ and started.isdecimal() and int(started) != trainer.world_size:
        raise UserError(
            f"torchrun started {started} processes, the Trainer has {trainer.world_size}: give --trainer.strategy ddp, "
            "--trainer.devices as many as on each machine, and --trainer.num_nodes"
        )
    if keeps_nothing:
        trainer.callbacks = list(callbacks)  # type: ignore[attr-defined]
    model, data = made.model, prepared.datamodule
    assert data is not None
    _must_hold_a_batch(trainer, data, stage)
    if configuration.saved is not None and stage == "fit" and config.resume != "never":
        then = Record.of(configuration.saved, configuration.checkpoint or "").corpus
        now = data.tokens.sha256
        must_be_the_text(data.corpus, then.sha256 if then else "", now, "--resume never to begin anew")
    model.check(data, configuration.saved, configuration.checkpoint or "", fit=stage == "fit")
    if prepared.has_folder:
        configuration.dump()  # so that it can be saved
    prepared.model, prepared.trainer = model, trainer


def _must_hold_a_batch(trainer: Trainer, data: CharDataModule, stage: Stage) -> None:
    """Refuses a share of the held-out batches that is less than one.

    Raises:
        UserError: it is.
    """
    name = f"limit_{'val' if stage in ('fit', 'validate') else stage}_batches"
    share = getattr(trainer, name)
    batches = len(HeldOutBlocks(data.val_ids, data.block_size, ranks=trainer.world_size))
    if isinstance(share, float) and int(share * batches) == 0:
        raise UserError(f"trainer.{name} {share} of {batches} batches is none: give a number of batches, at least 1")


def as_list(value: Any) -> list[Any]:
    """None, one thing or a list of them, as a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
