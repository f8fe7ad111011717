"""The second of three steps: makes data, network and Trainer, and finds all that is wrong with them at once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer

from lightning_gpt.arguments.program import version
from lightning_gpt.errors import UserError, collecting
from lightning_gpt.launch import loggers
from lightning_gpt.launch.checks import trainer_problems
from lightning_gpt.launch.configuration import Configuration, Stage, is_rank_zero
from lightning_gpt.launch.found import Found
from lightning_gpt.launch.memory import must_fit_the_memory
from lightning_gpt.launch.options import CHOICES
from lightning_gpt.machine import best_precision, keep_freed_memory, on_gpu
from lightning_gpt.model import Record
from lightning_gpt.runs.result import Result
from lightning_gpt.runs.resume import goes_on_in, must_be_the_text, steps_done
from lightning_gpt.terminal import quiet
from lightning_gpt.text import find_corpus
from lightning_gpt.text.paths import written
from lightning_gpt.tokens import Recipe, Tokenizer, names_a_file, tokenizer_recipe
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
    """A run that is ready to begin, or the problems that prevent it.

    Attributes:
        configuration: what it was made from.
        problems: each in a line with its remedy; empty if the run can begin.
        datamodule: its text, prepared if it can be read; None if its options are wrong.
        model: its network; None as long as there are problems.
        trainer: its Trainer; None as long as there are problems.
        loggers: class_path and init_args of loggers that are to be added to the run's own.
        has_folder: whether the run gets a folder.
        keeps: whether a fit saves checkpoints, or was asked to save nothing.
    """

    configuration: Configuration
    problems: list[str] = field(default_factory=list)
    datamodule: CharDataModule | None = None
    model: LanguageModel | None = None
    trainer: Trainer | None = None
    loggers: list[Any] = field(default_factory=list)
    has_folder: bool = False
    keeps: bool = True

    def made(self) -> tuple[LanguageModel, CharDataModule, Trainer]:
        """Returns network, data and Trainer.

        Raises:
            UserError: all the problems.
        """
        if self.problems:
            raise UserError.of(self.problems)
        assert self.model is not None and self.datamodule is not None and self.trainer is not None
        return self.model, self.datamodule, self.trainer


def prepare(
    configuration: Configuration, callbacks: Sequence[Callback] = (), *, saves_nothing: bool = False
) -> Prepared:
    """Makes data, network and Trainer as configured; finds what would stop the run, before it has a folder.

    Args:
        configuration: see `configure`.
        callbacks: further ones for the Trainer.
        saves_nothing: take no callbacks but these; no folder, no checkpoint, no display.
    """
    keep_freed_memory()
    prepared = Prepared(configuration)
    _choose_precision(prepared)
    _find_value_problems(prepared)
    with collecting(prepared.problems):
        prepared.datamodule = data = _datamodule(configuration)
        data.prepare_data()
        data.setup(configuration.stage)
        configuration.config.data.corpus = data.corpus  # the stand-in, if it had to be taken
    _find_network_problems(prepared)
    if not prepared.problems:
        with collecting(prepared.problems):
            _make(prepared, callbacks, saves_nothing)
    return prepared


def _choose_precision(prepared: Prepared) -> None:
    """Chooses a fit's precision by the machine, if it was left open; what only measures a loss is in fp32."""
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
    problems += loggers.lacking([one for one in as_list(config.trainer.logger) if not isinstance(one, bool)])
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
    block_size = max(1, config.data.block_size)
    fits = prepared.configuration.stage == "fit"
    chosen = config.model.optimizer  # null: the default
    optimizer = ("AdamW" if chosen is None else chosen.class_path.rpartition(".")[2]) if fits else None
    with collecting(prepared.problems):
        try:
            full = vars(network.config_class()(vocab_size, block_size, **sizes))
        except ValueError as error:
            raise UserError(f"model.network: {error}") from error
        must_fit_the_memory(network, full, config.data.batch_size, config.trainer, optimizer)


def _chosen(given: Any, option: str) -> Any:
    """Returns the chosen class, if it is one of ours; None for one of the user's own, or none."""
    return None if given is None else CHOICES[option].get(given.class_path.rpartition(".")[2])


def _datamodule(configuration: Configuration) -> CharDataModule:
    """Makes the run's data, nothing read yet; a text found beside a checkpoint must be one that it was trained on."""
    data = CharDataModule(**configuration.config.data)
    if configuration.found is not None:
        named = (configuration.found.defaults.get(f"data.{name}") for name in ("corpus", "rehearsal_corpus"))
        data.untyped = frozenset(name for name in named if isinstance(name, str))
    if configuration.source is not None:
        add = data.new_characters == "add"
        data.recipe = Recipe.of(_as_chosen(configuration.source.tokenizer, data, configuration.found), add)
    elif configuration.saved is not None:
        record = Record.of(configuration.saved, configuration.checkpoint or "")
        if configuration.config.resume != "never":  # with --ckpt_path the user has chosen both
            then = record.corpus.sha256 if record.corpus else ""
            must_be_the_text(data.source, then, data.find_corpus().sha256(), "--resume never to begin anew")
        data.recipe = Recipe.of(_as_chosen(record.tokenizer, data, configuration.found))
    if configuration.found is not None:
        record = configuration.found.gpt.record
        _must_have_been_read(configuration.found, data, "corpus", [record.corpus.sha256 if record.corpus else None])
        if data.rehearsal:
            texts = [origin.sha256 for origin in record.provenance]
            _must_have_been_read(configuration.found, data, "rehearsal_corpus", texts)
    return data


def _as_chosen(tokenizer: Tokenizer, data: CharDataModule, found: Found | None) -> Tokenizer:
    """Returns a checkpoint's tokenizer, if it is what the options name.

    Raises:
        UserError: it is of another kind or size, or is not the one in a file that the user named.
    """

    def unasked(option: str, value: Any) -> bool:
        """Tells what the checkpoint's run was begun with from what the user asks for now."""
        return found is not None and found.defaults.get(f"data.{option}") == value

    kind, size = tokenizer.kind, data.vocab_size
    if names_a_file(data.tokenizer):
        if not unasked("tokenizer", data.tokenizer) and tokenizer_recipe(data.tokenizer).made != tokenizer:
            raise UserError(f"{data.tokenizer} is not the checkpoint's tokenizer: leave data.tokenizer out")
    elif data.tokenizer != kind:
        raise UserError(f"the checkpoint's tokenizer is {kind}, not {data.tokenizer}: --data.tokenizer {kind}")
    # a run whose text was short has fewer tokens than it was begun with
    if size is not None and size != len(tokenizer) and not (size > len(tokenizer) and unasked("vocab_size", size)):
        raise UserError(f"the checkpoint's tokenizer has {len(tokenizer):,} tokens: leave data.vocab_size {size} out")
    return tokenizer


def _must_have_been_read(found: Found, data: CharDataModule, option: str, texts: list[str | None]) -> None:
    """Checks a text that a checkpoint's own files name, before a byte of it is prepared.

    Whoever sent them may have named any file of this machine.

    Raises:
        UserError: its SHA-256 is not among `texts`, which the network was trained on.
    """
    source = written(getattr(data, option))
    if source != found.defaults.get(f"data.{option}"):
        return
    corpus = find_corpus(source, data.data_dir, data.offline_corpus, data.endings, data.encoding, fetch=False)
    now = corpus.sha256()
    then = now if now in texts else texts[-1] if texts else None
    must_be_the_text(corpus.name, then or "", now, f"name a text by --data.{option}")


def _make(prepared: Prepared, callbacks: Sequence[Callback], saves_nothing: bool) -> None:
    """Makes network and Trainer, and checks what only the parts together can tell.

    Raises:
        UserError: a class of the user's own, the machine or Lightning refuses an option; or the parts do not fit.
    """
    configuration, data = prepared.configuration, prepared.datamodule
    stage = configuration.stage
    assert data is not None
    try:
        config = configuration.config.clone()
        prepared.loggers = [one for one in as_list(config.trainer.logger) if not isinstance(one, bool)]
        if prepared.loggers:
            config.trainer.logger = None  # they are made in the run's folder
        configuration.config_init = made = configuration.parser.instantiate(config)
        with quiet("lightning.pytorch.utilities.rank_zero"):  # the run's card says what is used
            trainer = _trainer(prepared, callbacks, saves_nothing)
    except UserError:
        raise
    except (MisconfigurationException, ImportError, AttributeError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error
    _must_have_all_processes(trainer)
    _must_hold_a_batch(trainer, data, stage)
    made.model.source = configuration.source
    made.model.check(data, configuration.saved, configuration.checkpoint or "", trainer if stage == "fit" else None)
    if stage == "fit":
        _must_have_a_step_left(configuration)
    if prepared.has_folder:
        configuration.dump()  # so that it can be saved
    prepared.model, prepared.trainer = made.model, trainer


def _trainer(prepared: Prepared, callbacks: Sequence[Callback], saves_nothing: bool) -> Trainer:
    """Makes the Trainer, with what the project adds to it."""
    configuration = prepared.configuration
    given = configuration.config_init.trainer
    fits = configuration.stage == "fit" and not saves_nothing
    saves = fits and given.logger is not False and given.enable_checkpointing is not False
    prepared.keeps = saves or not fits
    prepared.has_folder = fits and given.logger is not False
    bar = [] if saves_nothing else progress_bar(given.enable_progress_bar)
    own = [SafeCheckpoints(), *bar]
    if fits:
        own += displays(configuration.command, version())
    if saves:
        own += savers(configuration.config_init.save_every_n_steps, configuration.config_init.film)
    options: dict[str, Any] = {"enable_progress_bar": bool(bar)}
    if not saves:
        options["enable_checkpointing"] = False
    options["logger"] = False  # a fit has its own when it has its folder
    if not fits or given.logger is False:
        configuration.save_config_callback = None
    theirs = [*as_list(given.callbacks), *callbacks]
    _must_be_others(theirs, own)
    trainer = configuration.instantiate_trainer(callbacks=[*theirs, *own], **options)
    if saves_nothing:
        trainer.callbacks = list(callbacks)  # type: ignore[attr-defined]  # not those of the configuration either
    return trainer


def _must_be_others(theirs: Sequence[Callback], own: Sequence[Callback]) -> None:
    """Refuses callbacks that the run has already, or that would save their state in another's place.

    Raises:
        UserError: there are such.
    """
    keys = [callback.state_key for callback in own]
    for callback in theirs:
        kind = type(callback).__name__
        if callback.state_key in keys:
            raise UserError(f"trainer.callbacks: the run has a {kind} like this one already: leave it out")
        if type(callback).state_dict is not Callback.state_dict:
            keys.append(callback.state_key)


def _must_have_all_processes(trainer: Trainer) -> None:
    """Refuses processes that torchrun started and the Trainer does not count: each would be a run of its own.

    Raises:
        UserError: there are such, or variables that are left of one.
    """
    started = os.environ.get("WORLD_SIZE", "")
    if "TORCHELASTIC_RUN_ID" in os.environ and started.isdecimal() and int(started) != trainer.world_size:
        raise UserError(
            f"torchrun started {started} processes, the Trainer has {trainer.world_size}: give --trainer.strategy ddp, "
            "--trainer.devices as many as on each machine, and --trainer.num_nodes"
        )
    if is_rank_zero() != trainer.is_global_zero:
        raise UserError(
            "RANK, LOCAL_RANK, NODE_RANK or SLURM_PROCID says that this is a further process of a run, and the Trainer "
            "has no others: unset it, or give --trainer.strategy ddp with --trainer.devices and --trainer.num_nodes"
        )


def _must_have_a_step_left(configuration: Configuration) -> None:
    """Refuses a run that would be over before its first step; one that was killed after its last may just end.

    Raises:
        UserError: it would.
    """
    checkpoint, saved, most = configuration.checkpoint, configuration.saved, configuration.config.trainer.max_steps
    if checkpoint is None or saved is None:
        return
    folder = goes_on_in(checkpoint, configuration.home)
    result = Result.read(folder) if folder is not None else None
    done = steps_done(saved, checkpoint)
    if done >= most > 0 and (result is None or result.finished or done > most):
        raise UserError(f"{checkpoint} has done {done:,} steps already: raise --trainer.max_steps above that")


def _must_hold_a_batch(trainer: Trainer, data: CharDataModule, stage: Stage) -> None:
    """Refuses a share of the held-out batches that is less than one.

    Raises:
        UserError: it is.
    """
    name = f"limit_{'val' if stage in ('fit', 'validate') else stage}_batches"
    share = getattr(trainer, name)
    batches = len(data.held_out_batches(ranks=trainer.world_size))
    if isinstance(share, float) and int(share * batches) == 0:
        raise UserError(f"trainer.{name} {share} of {batches} batches is none: give a number of batches, at least 1")


def as_list(value: Any) -> list[Any]:
    """Converts None, one thing or several to a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
