"""fit, validate, test, predict: LightningCLI, taught where runs live and to speak in single lines."""

import argparse
import inspect
import logging
import os
import shlex
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse.typing import PositiveInt
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from lightning_gpt.commands import completion
from lightning_gpt.commands.parsing import parse, parse_some
from lightning_gpt.commands.programs import command, program_name, tensorboard_name, version
from lightning_gpt.commands.resume import differences, unfinished
from lightning_gpt.errors import UserError
from lightning_gpt.files import held
from lightning_gpt.ladder import RUNGS
from lightning_gpt.machine import best_precision, keep_freed_memory, on_gpu
from lightning_gpt.model import Record, checkpoint
from lightning_gpt.runs import find_checkpoint, new_version, run_config, run_folder
from lightning_gpt.terminal import styled
from lightning_gpt.training import (
    AdamW,
    Board,
    CharDataModule,
    Finite,
    LanguageModel,
    LastCheckpoint,
    Muon,
    Overfitting,
    Page,
    ProgressBar,
    RunLog,
    SafeCheckpointIO,
    SampleText,
    Speed,
    best_checkpoint,
)

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_steps": 2000,
    "max_epochs": -1,  # blocks are drawn without end: there are steps, no epochs
    "check_val_every_n_epoch": None,  # so that val_check_interval counts steps
    "val_check_interval": 250,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,  # the blocks know their rank
    "enable_model_summary": False,  # the run's card says it
}


NEEDS_CHECKPOINT = "{} needs a checkpoint: --ckpt_path best, last, or a path to a .ckpt file"


class RunCLI(LightningCLI):
    """LightningCLI over the one module and the one datamodule, for one subcommand: made ready, run by `start`."""

    def __init__(self, subcommand: str, args: list[str]) -> None:
        self.only = subcommand
        super().__init__(
            LanguageModel,
            CharDataModule,
            args=[subcommand, *with_run_config(subcommand, args)],
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=1337,
            save_config_kwargs={"overwrite": True},
            parser_kwargs={"exit_on_error": False, subcommand: {"exit_on_error": False}},
            auto_configure_optimizers=False,
        )

    # ---------------------------------------------------------------------------------------------- what is asked

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Where the run goes, and the samples it writes."""
        parser.add_argument("--name", type=str, default="gpt", help="The run's name: it lives in <runs_dir>/<name>/.")
        parser.add_argument("--runs_dir", type=str, default="runs", help="The folder of all runs.")
        parser.add_argument(
            "--resume",
            type=Literal["never", "ask", "auto"],
            default="never",
            help="Go on with the newest run of this name if it was interrupted: after asking, or without.",
        )
        parser.add_argument(
            "--save_every_n_steps",
            type=PositiveInt | None,
            default=None,
            help="Save last.ckpt every so many steps, not only at validations and every minute.",
        )
        parser.add_lightning_class_args(SampleText, "sample")
        parser.add_lightning_class_args(Overfitting, "overfitting")
        parser.set_defaults({"model.optimizer": {"class_path": "AdamW"}})
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        whole = self.subcommands
        self.subcommands = lambda: {self.only: whole()[self.only]}  # type: ignore[method-assign]  # a parser each is slow
        super()._add_subcommands(parser, **kwargs)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parses, in single-line complaints; resolves `best` and `last`.

        Raises:
            UserError: anything wrong with the arguments or the config file.
        """
        assert isinstance(args, list)
        if completion.wanted():
            self._subcommand_parsers[self.only].parse_args([])  # which answers the shell
        choices: list[type] = [*(rung.network for rung in RUNGS), AdamW, Muon]
        known = [name for choice in choices for name in inspect.signature(choice).parameters]
        self.config = parse(parser, args, [*(a.dest for a in self._subcommand_parsers[self.only]._actions), *known])
        options = self.config[self.only]
        if options.name in ("", ".", "..") or Path(options.name).name != options.name:
            raise UserError(f"--name is the name of one folder, not {options.name!r}; where it lies says --runs_dir")
        if options.ckpt_path:
            options.ckpt_path = str(find_checkpoint(options.ckpt_path, options.runs_dir))
        elif self.only != "fit":
            raise UserError(NEEDS_CHECKPOINT.format(self.only))

    def _parse_ckpt_path(self) -> None:
        """Nothing: Lightning would let the checkpoint's hyperparameters win over the command line without a word."""

    def _set_seed(self) -> None:
        with Quiet("lightning.fabric.utilities.seed"):  # the run's config says the seed
            super()._set_seed()
        options = self.config[self.only]
        options.data.seed = int(options.seed_everything)  # true has become a number by now

    # ------------------------------------------------------------------------------------------------ what is made

    def before_instantiate_classes(self) -> None:
        """Chooses what the configuration leaves to the machine, and refuses what can't go well.

        Raises:
            UserError: what the machine lacks, or what would make a resumed run differ.
        """
        keep_freed_memory()
        options = self.config[self.only].trainer
        if options.limit_train_batches not in (None, 1.0):
            raise UserError("trainer.limit_train_batches: blocks are drawn without end; set --trainer.max_steps")
        if (options.gradient_clip_val or 0) < 0:
            raise UserError(f"trainer.gradient_clip_val must be 0 (off) or above, not {options.gradient_clip_val}")
        every, accumulate = options.val_check_interval, options.accumulate_grad_batches
        if isinstance(every, int) and every % accumulate:
            raise UserError(
                f"trainer.val_check_interval {every} counts batches and must be a multiple of "
                f"accumulate_grad_batches {accumulate}: a checkpoint keeps no half-gathered gradient"
            )
        if options.precision is None:
            options.precision = best_precision(options.accelerator)
        elif str(options.precision).startswith("16") and not on_gpu(options.accelerator):
            raise UserError(
                f"--trainer.precision {options.precision} needs a GPU, and this run is on the CPU: "
                "take 32-true or bf16-mixed"
            )
        if self.only != "fit" or options.logger is False:
            self.save_config_callback = None
        if self.only == "fit":
            self._find_interrupted()

    def _find_interrupted(self) -> None:
        """Makes the newest run's last.ckpt the one to go on from, if that run was interrupted and --resume wants it.

        Raises:
            UserError: --resume auto, and that run was configured otherwise.
        """
        options = self.config.fit
        if options.resume == "never" or options.ckpt_path:
            return
        found = unfinished(Path(options.runs_dir) / options.name)
        if found is None:
            return
        last, step = found
        folder = last.parent.parent
        differ = self.differences(folder)
        where = f"{folder} was interrupted after step {step:,} of {options.trainer.max_steps:,}"
        if options.resume == "ask":
            if differ or not sys.stdin.isatty():
                return
            if input(f"{where}: go on with it? [Y/n] ").strip().lower() not in ("", "y", "yes"):
                return
            sys.argv.append(f"--ckpt_path={last}")  # Lightning starts further ranks with it, and they must not ask
        elif differ:
            raise UserError(
                f"{where.partition(' of ')[0]}, with another configuration ({'; '.join(differ)}): give that one, "
                "or --resume never to begin anew"
            )
        if is_rank_zero():
            print(f"goes on with {folder} behind step {step:,}; --resume never begins anew")
        options.ckpt_path = str(last)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The Trainer with the house's logger, checkpoints and displays added to what the configuration says.

        Raises:
            UserError: an option that this machine or Lightning refuses.
        """
        given = self.config_init[self.only].trainer
        bar = given.enable_progress_bar if given.enable_progress_bar is not None else sys.stderr.isatty()
        callbacks = [*as_list(given.callbacks), *([ProgressBar()] if bar else [])]
        kwargs |= {"enable_progress_bar": bar, "plugins": [*as_list(given.plugins), SafeCheckpointIO()]}
        if self.only == "fit":
            callbacks += [Speed(), RunLog(command(), version()), Finite(), Page()]
            if given.logger is False:  # a run without a folder keeps nothing
                kwargs["enable_checkpointing"] = False
            elif given.enable_checkpointing is not False:
                callbacks += [best_checkpoint(), LastCheckpoint(self._get(self.config, "save_every_n_steps"))]
            if given.logger in (None, True):
                kwargs["logger"] = False  # until the run has its folder
        else:
            kwargs |= {"logger": False, "enable_checkpointing": False}
        try:
            with Quiet("lightning.pytorch.utilities.rank_zero"):  # the run's card says what is used
                return super().instantiate_trainer(callbacks=callbacks, **kwargs)
        except (MisconfigurationException, ValueError) as error:
            raise UserError(f"trainer: {' '.join(str(error).split())}") from error

    def after_instantiate_classes(self) -> None:
        """Finds out what is wrong with text, network and checkpoint before the run has a folder.

        Raises:
            UserError: anything that would have stopped the run at its start.
        """
        self.datamodule.prepare_data()
        self.datamodule.setup(self.only)
        self.config[self.only].data.corpus = self.datamodule.corpus  # the stand-in, if it had to be taken
        if self.only == "fit":
            self.model.schedule.check(self.trainer.max_steps)
        path = self.config[self.only].ckpt_path
        saved = checkpoint.read(path) if path else None
        self.model.check(self.datamodule, saved, path or "", fit=self.only == "fit")
        self.resumed_step = saved["global_step"] if saved else 0
        if saved and self.only == "fit" and self.config.fit.resume != "never":
            corpus = Record.of(saved, path or "").corpus
            then, now = corpus.sha256 if corpus else "", self.datamodule.tokens.sha256
            if then != now:
                raise UserError(
                    f"{self.datamodule.corpus} has changed since that run began (SHA-256 {then[:12]}…, now "
                    f"{now[:12]}…): bring the old text back, or --resume never to begin anew"
                )

    def logger(self) -> Board:
        """TensorBoard in the run's folder: a new version, or the one that its own last.ckpt goes on in.

        Raises:
            UserError: no folder can be made.
        """
        options = self.config[self.only]
        home = Path(options.runs_dir) / options.name
        kwargs: dict[str, Any] = {"default_hp_metric": False}
        if options.ckpt_path and Path(options.ckpt_path).name == "last.ckpt":
            folder = run_folder(Path(options.ckpt_path))
            if folder is not None and folder.parent == home.resolve():
                # what was logged behind the checkpoint will be logged again
                kwargs |= {"version": folder.name, "purge_step": self.resumed_step}
                # it is meant to be
                warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        if "version" not in kwargs and is_rank_zero():
            kwargs["version"] = new_version(home).name
        return Board(home.parent, name=home.name, **kwargs)

    # --------------------------------------------------------------------------------------- what is done and said

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing yet: see `start`."""

    def start(self) -> None:
        """Runs what was asked for, without Lightning's own account of it.

        Raises:
            UserError: another process writes to the run's folder.
        """
        with Quiet("lightning.pytorch.utilities.rank_zero"), ExitStack() as stack:
            if self.only == "fit" and self.config_init.fit.trainer.logger in (None, True):
                self.trainer.logger = self.logger()
                folder = Path(self.trainer.logger.log_dir)
                if is_rank_zero() and not stack.enter_context(held(folder)):
                    raise UserError(f"{folder} is being written to by another run: wait for it, or begin a new one")
            super()._run_subcommand(self.only)

    def differences(self, folder: Path) -> list[str]:
        """What the run in `folder` was configured otherwise."""
        mine = yaml.safe_load(self.parser.dump(self.config, skip_none=False))[self.only]
        theirs = run_config(folder)
        if theirs["data"]["corpus"] == mine["data"]["offline_corpus"]:  # it had to take the stand-in
            theirs["data"]["corpus"] = mine["data"]["corpus"]
        return differences(theirs, mine, vars(self._subcommand_parsers[self.only].get_defaults().as_flat()))

    def predict(self, **kwargs: Any) -> None:
        """Trainer.predict, which returns each target's nats, and what they come to."""
        nats: list[Any] = self.trainer.predict(**kwargs) or []  # a tensor (B, T) for each batch
        if nats:
            total, targets = sum(batch.sum().item() for batch in nats), len(self.datamodule.val_ids) - 1
            print(f"{targets:,} held-out {self.datamodule.tokens.tokenizer.unit}s, {total / targets:.4f} nats each")

    def after_fit(self) -> None:
        """The best loss, where it is kept, and what to do with it."""
        best = next((c for c in self.trainer.checkpoint_callbacks if c.monitor == "val/loss"), None)  # type: ignore[attr-defined]
        if not (self.trainer.is_global_zero and isinstance(best, ModelCheckpoint) and best.best_model_path):
            return
        assert best.best_model_score is not None
        loss, path, program = float(best.best_model_score), os.path.relpath(best.best_model_path), program_name()
        tokens = self.datamodule.tokens
        prompt = next(
            (f" --prompt {shlex.quote(p)}" for p in self._get(self.config, "sample").prompts or [] if p.strip()), ""
        )
        print(
            f"{styled(f'best val/loss {loss:.4f}', 'bold', 'green')} nats per "
            f"{tokens.tokenizer.unit} ({tokens.held_out.bits_per_character(loss):.3f} bits per character) on "
            f"{tokens.corpus}\n"
            f"  kept in      {path}\n"
            f"  validate     {program} validate --ckpt_path {path}\n"
            f"  write text   {program} generate --ckpt_path {path}{prompt}\n"
            f"  look at it   {tensorboard_name()} --logdir {self.config.fit.runs_dir}\n"
            f"  mail it      {program} report --ckpt_path {path}"
        )


def run(subcommand: str, args: list[str]) -> None:
    """Runs fit, validate, test or predict with the command line's arguments."""
    RunCLI(subcommand, args).start()


def is_rank_zero() -> bool:
    """Whether this process is the first of its run, or the only one; asked before there is a strategy."""
    return not any(int(os.environ.get(name, 0)) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def as_list(value: Any) -> list[Any]:
    """None, one thing or a list of them, as a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def with_run_config(subcommand: str, args: list[str]) -> list[str]:
    """The arguments, behind the config of the run that --ckpt_path belongs to where no --config is given.

    Raises:
        UserError: that config can't be found, or a subcommand that needs a checkpoint has none.
    """
    if completion.wanted():
        return args
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--ckpt_path")
    early.add_argument("--runs_dir", default="runs")
    early.add_argument("--config", "-c")
    early.add_argument("--model.network", dest="network")
    given, _ = parse_some(early, args)
    if given.config or given.ckpt_path in (None, "null"):
        if subcommand == "fit" or given.config or {"-h", "--help"} & set(args):
            return args
        raise UserError(NEEDS_CHECKPOINT.format(subcommand))
    folder = run_folder(find_checkpoint(given.ckpt_path, given.runs_dir))
    if folder is None and given.network:
        return args
    if folder is None:
        raise UserError(
            f"{given.ckpt_path} does not lie in a run's folder, so its configuration is not known: give it by --config"
        )
    return ["--config", str(folder / "config.yaml"), *args]


class Quiet:
    """A logger's chatter (not its warnings) off inside the block."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
