"""The first of three steps: parses a run's options and checks them by name and type. Makes nothing yet."""

import os
import secrets
import shlex
import sys
from argparse import ArgumentError
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jsonargparse
import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback

from lightning_gpt.arguments import completion
from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.ladder.aliases import modernised_config
from lightning_gpt.launch import options
from lightning_gpt.launch.found import Found, begun_with, found_beside
from lightning_gpt.launch.recipe import renamed, written_out
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model import checkpoint as checkpoint_file
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.folders import find_checkpoint
from lightning_gpt.runs.resume import differences, unfinished
from lightning_gpt.terminal import quiet
from lightning_gpt.training import TRAINER_DEFAULTS, CharDataModule, LanguageModel, Overfitting, SampleText

Stage = Literal["fit", "validate", "test", "predict"]
LONGEST_NAME = 255  # bytes, of every common file system
GO_ON_FROM = "LIGHTNING_GPT_GO_ON_FROM"  # the answer to --resume ask, for further ranks, which must not ask


class WholeConfig(SaveConfigCallback):
    """Writes config.yaml into the run's folder, whole or not at all."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """See `write`."""
        self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Replaces the file, on rank 0.

        Raises:
            UserError: there is no room.
        """
        folder = trainer.log_dir  # read on all ranks, or the first one waits for the others
        if trainer.is_global_zero and folder is not None:
            path = Path(folder) / FILE
            try:
                with replacing(path) as file:
                    file.write(self.parser.dump(self.config, skip_unset=False).encode())
            except OSError as error:
                raise UserError(f"can't save {path} ({error.strerror or error}): make room, or remove it") from error


class Configuration(LightningCLI):
    """Parses the options of one stage: LightningCLI over the one module and datamodule, which `prepare` makes.

    Attributes:
        stage: fit, validate, test or predict.
        command: the command line that began it.
        config: every option, as LightningCLI parsed it.
        checkpoint: the file to begin from.
        saved: that file's contents.
        found: options of the run that the checkpoint lies in; None where the user gave a configuration.
        source: a trained network whose weights a new run begins with.
        given: the options as they were given.

    Raises:
        UserError: all that is wrong with names and types of options, or a checkpoint that can't be read.
    """

    def __init__(self, stage: Stage, args: list[str], command: str = "") -> None:
        self.stage = stage
        self.command = command
        self.checkpoint: Path | None = None
        self.saved: dict[str, Any] | None = None
        self.found: Found | None = None
        self.source: TrainedGPT | None = None
        self.given: list[options.Given] = []
        args = list(renamed(args))
        if not completion.wanted():
            if not asks_for_help(args):
                self._look_ahead(args)
            args = list(written_out(args))
        with quiet("lightning.fabric.utilities.seed"):  # config.yaml has the seed
            super().__init__(
                LanguageModel,
                CharDataModule,
                run=False,
                args=args,
                save_config_callback=WholeConfig,
                trainer_defaults=TRAINER_DEFAULTS,
                seed_everything_default=1337,
                parser_kwargs={"exit_on_error": False, "prog": f"lightning-gpt {stage}"},
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,  # a checkpoint's record says what it holds
            )

    def _look_ahead(self, args: list[str]) -> None:
        """Checks the options by our own tables of them; finds the checkpoint and the options of its run."""
        self.given = given = list(options.given_options(args))
        if problems := options.problems(given):
            raise UserError.of(problems)
        # a saved configuration's null is no choice
        value = {option.name: option.value for option in given if option.value is not None}
        checkpoint, source = (value.get(name, "null") for name in ("ckpt_path", "init_from"))
        runs_dir = value.get("runs_dir", "runs")
        configured = any(option.source for option in given)
        if {"ckpt_path", "init_from"} <= {
            option.name for option in given if not option.source and option.value != "null"
        }:
            raise UserError(
                "--ckpt_path goes on with a run, --init_from begins a new one with its weights: give one of them"
            )
        if checkpoint != "null":
            self.begin_from(find_checkpoint(checkpoint, runs_dir))
            if not configured:
                assert self.saved is not None and self.checkpoint is not None
                self.found = found_beside(self.checkpoint, self.saved)
        elif self.stage != "fit":
            raise UserError(f"{self.stage} needs a checkpoint: --ckpt_path best, last, or a path to a .ckpt file")
        elif source != "null":
            path = find_checkpoint(source, runs_dir)
            self.found = begun_with(path, checkpoint_file.read(path), configured)
            self.source = self.found.gpt

    def begin_from(self, checkpoint: Path) -> None:
        """Reads the checkpoint to begin from.

        Raises:
            UserError: it can't be read.
        """
        self.checkpoint = checkpoint
        self.saved = checkpoint_file.read(checkpoint)

    # --------------------------------------------------------------------------------------- LightningCLI's own hooks

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options of folder, resuming and samples; what was found beside a checkpoint becomes the default."""
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="A checkpoint: a path, or best or last.")
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Begin a new run with the weights and the tokenizer of a checkpoint: fine-tuning.",
        )
        parser.add_argument("--name", type=str, default="gpt", help="The run's name: it lies in <runs_dir>/<name>/.")
        parser.add_argument("--runs_dir", type=str, default="runs", help="The folder of all runs.")
        parser.add_argument(
            "--budget",
            type=str | None,
            default=None,
            help="The time of the whole command, as 90s, 2m or 1h30m: it chooses what to train, and how long.",
        )
        parser.add_argument(
            "--resume",
            type=Literal["never", "ask", "auto"],
            default="never",
            help="Go on with the newest run of this name if it was interrupted: after asking, or without.",
        )
        parser.add_argument(
            "--save_every_n_steps",
            type=int | None,
            default=None,
            help="Save last.ckpt every so many steps, not only at validations and every minute.",
        )
        parser.add_argument(
            "--film",
            type=bool,
            default=False,
            help="Keep the weights of steps 0, 1, 2, 4, 8 … in film/, for the slider of lightning-gpt page.",
        )
        parser.add_lightning_class_args(SampleText, "sample")
        parser.add_lightning_class_args(Overfitting, "overfitting")
        parser.set_defaults({"model.optimizer": {"class_path": "AdamW"}})
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        self.defaults = vars(parser.get_defaults().as_flat())  # before what was found beside a checkpoint
        if self.found is not None:
            parser.set_defaults(self.found.defaults)
            given = {option.name for option in self.given}
            left_out = [
                name
                for name, value in self.found.left_out.items()
                if value != self.defaults.get(name) and name not in given
            ]
            if self.stage == "fit" and is_rank_zero():
                if left_out:
                    names = ", ".join(left_out)
                    print(f"not taken from {self.found.folder}: {names}; give them if they are wanted", file=sys.stderr)
                if not self.found.configured:
                    print(
                        f"no {FILE} lies by {self.found.path}: batch size, optimizer, schedule and length of the run "
                        "are the defaults; give them if it had others",
                        file=sys.stderr,
                    )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parses the command line; turns `best` and `last` into paths, and a random seed into a number.

        Raises:
            UserError: an option that only the classes themselves could refuse.
        """
        assert isinstance(args, list)
        if completion.wanted():
            parser.parse_args([])  # which answers the shell
        try:
            self.config = parser.parse_args(args)
        except (ArgumentError, jsonargparse.ArgumentError) as error:
            raise UserError(self._complaint(parser, args)) from error
        for name, text in options.typed_texts(self.given):
            self.config[name] = text
        seed = self.config.seed_everything
        if seed is True:
            seed = secrets.randbelow(2**32)
        if seed is False or not 0 <= seed < 2**32:
            raise UserError(f"--seed_everything takes a whole number from 0 to 2^32 - 1, or true, not {seed}")
        self.config.seed_everything = self.config.data.seed = seed
        name = self.config.name
        if name in ("", ".", "..") or Path(name).name != name or len(os.fsencode(name)) > LONGEST_NAME:
            raise UserError(f"--name is the name of one folder, not {name!r}; --runs_dir says where it lies")
        if self.stage == "fit" and self.config.resume != "never" and self.checkpoint is None:
            self._find_interrupted()
        self.config.ckpt_path = None if self.checkpoint is None else str(self.checkpoint)

    def instantiate_classes(self) -> None:
        """Makes nothing: that is the second step, see `lightning_gpt.launch.preparation`."""

    # -------------------------------------------------------------------------------------------------- what it holds

    def dump(self) -> str:
        """Serialises the whole configuration as YAML, without options that others give.

        Raises:
            UserError: a class of the user's own has a default that can't be written.
        """
        try:
            return self.parser.dump(self.config, skip_unset=False)
        except (TypeError, ValueError, yaml.YAMLError) as error:
            raise UserError(
                "config.yaml can't hold a default of a class among trainer.callbacks, logger, plugins or profiler: "
                "give its init_args"
            ) from error

    @property
    def home(self) -> Path:
        """The folder of all runs of this name."""
        return Path(self.config.runs_dir) / self.config.name

    def differences(self, folder_config: Mapping[str, Any]) -> list[str]:
        """Lists the options in which another run's configuration differs."""
        mine = yaml.safe_load(self.dump())
        theirs = modernised_config(folder_config)
        data = theirs.get("data")
        if isinstance(data, Mapping) and data.get("corpus") == mine["data"]["offline_corpus"]:
            theirs["data"] = {**data, "corpus": mine["data"]["corpus"]}  # that run had to take the stand-in
        return differences(theirs, mine, self.defaults)

    def _find_interrupted(self) -> None:
        """Begins from the newest run's last.ckpt, if that run was interrupted and --resume allows it.

        Raises:
            UserError: --resume auto, and that run was configured otherwise.
        """
        if answered := os.environ.get(GO_ON_FROM):
            self.begin_from(Path(answered))
            return
        found = unfinished(self.home)
        if found is None:
            return
        try:
            differ = self.differences(read_config(found.folder / FILE))
        except UserError as error:
            remedy = f"go on with --ckpt_path {shlex.quote(str(found.last))}, or begin anew with --resume never"
            raise UserError(f"{error}; {remedy}") from error
        where = f"{found.folder} was interrupted after step {found.step:,}"
        if self.config.resume == "ask":
            if differ or sys.stdin is None or not sys.stdin.isatty():
                return
            if not agreed(f"{where} of {self.config.trainer.max_steps:,}: go on with it? [Y/n] "):
                return
        elif differ:
            raise UserError(
                f"{where}, with another configuration ({'; '.join(differ)}): give that one, "
                "or --resume never to begin anew"
            )
        elif is_rank_zero():
            print(f"goes on with {found.folder} after step {found.step:,}; --resume never begins anew")
        self.begin_from(found.last)

    def _complaint(self, parser: LightningArgumentParser, args: list[str]) -> str:
        """Names the option that jsonargparse refused: the one that it refuses alone, too."""
        least, chosen = ["--model.network=GPT"], False
        for option in options.given_options(args):
            if option.name == "model.network" and option.value in ("", "null", None):
                chosen = False
                continue
            chosen = chosen or option.name.startswith("model.network")
            try:
                parser.parse_args([*least, f"--{option.name}={options.typed(option.value)}"])
            except (ArgumentError, jsonargparse.ArgumentError):
                return options.refused(option)
        if not chosen:
            return options.WHICH_NETWORK
        return f"the options do not go together: see lightning-gpt {self.stage} --help"


def configure(stage: Stage, args: list[str], command: str = "") -> Configuration:
    """Parses and checks a stage's options.

    Raises:
        UserError: see `Configuration`.
    """
    return Configuration(stage, args, command)


def agreed(question: str) -> bool:
    """Asks a question at the terminal until it is answered by yes or no; an empty answer is a yes.

    Raises:
        UserError: the terminal has nothing more to say.
    """
    while True:
        try:
            answer = input(question).strip().lower()
        except (EOFError, UnicodeDecodeError) as error:
            print()  # the terminal is still in the question's line
            raise UserError("no answer: --resume auto goes on without asking, --resume never begins anew") from error
        if answer in ("", "y", "yes"):
            return True
        if answer in ("n", "no"):
            return False


def asks_for_help(args: list[str]) -> bool:
    """Returns whether the arguments ask for help, not for a run."""
    return any(word in ("-h", "--help") or word.split("=")[0].endswith(".help") for word in args)


def is_rank_zero() -> bool:
    """Returns whether this process is the first of its run, or the only one; known before there is a strategy."""
    return not any(int(os.environ.get(name, 0)) for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
