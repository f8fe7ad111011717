"""The third of three steps: runs what was prepared. Locks the folder, restores signals, explains Lightning's errors."""

import os
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_gpt.arguments.program import program_name, tensorboard_name
from lightning_gpt.errors import Interrupted, UserError
from lightning_gpt.files import locked
from lightning_gpt.launch import loggers
from lightning_gpt.launch.configuration import GO_ON_FROM, is_rank_zero
from lightning_gpt.launch.preparation import Prepared
from lightning_gpt.machine import lost_process, out_of_memory
from lightning_gpt.runs import Run, new_version
from lightning_gpt.runs.curves import order_events
from lightning_gpt.runs.result import Result
from lightning_gpt.runs.resume import goes_on_in, steps_done
from lightning_gpt.terminal import quiet, styled, visible
from lightning_gpt.text.typed import typed_prompt
from lightning_gpt.training import Board, SampleText

TOO_LARGE = (
    "out of memory: lower --data.batch_size (and raise --trainer.accumulate_grad_batches as much), "
    "--data.block_size, or the network's n_layer and n_embd"
)
LOST = (
    "another process of this run has ended: what it said stands above; if it said nothing, it was killed, as by a "
    "system that is out of memory. Go on with --ckpt_path last"
)


def run(prepared: Prepared) -> Run | None:
    """Runs what was prepared; returns a fit's run, if it has a folder.

    Raises:
        UserError: the problems that were found, another process writes to the run's folder, too little memory, a
            folder that is removed meanwhile, or another process of this run is gone.
        Interrupted: a signal stopped the run, and it was saved.
        KeyboardInterrupt: it was not.
    """
    model, data, trainer = prepared.made()
    configuration = prepared.configuration
    stage, config = configuration.stage, configuration.config
    folder: Path | None = None
    with ExitStack() as stack:
        stack.enter_context(signals_as_before())
        stack.callback(_leave_group)
        stack.enter_context(_one_voice())
        for name in ("utilities.rank_zero", "accelerators.cuda"):  # the run's card says what is used
            stack.enter_context(quiet(f"lightning.pytorch.{name}"))
        stack.enter_context(warnings.catch_warnings())
        # from within Lightning 2.6.6, of a torch newer than it knows
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)")
        # of values that torchmetrics has summed over all ranks before they are logged
        warnings.filterwarnings("ignore", r"It is recommended to use .*sync_dist=True")
        if prepared.has_folder:
            own = _logger(prepared)
            folder = Path(own.log_dir)
            if is_rank_zero() and not stack.enter_context(locked(folder)):
                raise UserError(f"{folder} is being written to by another run: wait for it, or begin a new one")
            if is_rank_zero():
                order_events(folder)
            others = loggers.make(prepared.loggers, folder, is_rank_zero())
            stack.callback(loggers.close, others)
            trainer.loggers = [own, *others]
        stack.enter_context(_answer_for_ranks(configuration.checkpoint))
        if stage == "fit" and is_rank_zero() and not prepared.keeps:
            print("nothing of this run will be kept: it has no logger, or no checkpoints", file=sys.stderr)
        seed_everything(config.seed_everything, workers=True, verbose=False)
        begin = getattr(trainer, stage)
        try:
            predicted = begin(model=model, datamodule=data, ckpt_path=configuration.checkpoint, weights_only=True)
        except (SystemExit, OSError) as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                # Lightning turns one into an exit without a word, or into what went wrong when it closed the loggers
                raise KeyboardInterrupt from None
            if isinstance(error, SystemExit):
                raise
            raise UserError(
                f"the run can't be written on ({error}): its folder was removed, or its disk is full or gone; "
                "what was saved before is untouched"
            ) from error
        except MisconfigurationException as error:
            raise UserError(f"trainer: {' '.join(str(error).split())}") from error
        except Exception as error:
            if out_of_memory(error):
                raise UserError(TOO_LARGE) from error
            if lost_process(error):
                raise UserError(LOST) from error
            if not isinstance(error, UserError | Interrupted) and _while_restoring(error):
                raise UserError(f"{configuration.checkpoint} is damaged: it can't be restored ({error})") from error
            raise
        if folder is not None:
            folder = Path(trainer.log_dir or folder)  # of the first rank: another's logger does not know the version
    if stage == "predict" and predicted:  # a tensor (B, T) of nats for each batch
        total, targets = sum(batch.sum().item() for batch in predicted), data.tokens.held_out.tokens
        print(f"{targets:,} held-out {data.tokens.tokenizer.unit}s, {total / targets:.4f} nats each")
    if folder is None:
        return None
    if trainer.is_global_zero:
        _print_summary(prepared)
    return Run(folder)


def _logger(prepared: Prepared) -> Board:
    """Makes TensorBoard's logger in the run's folder: a new version, or the one that its own last.ckpt goes on in.

    Raises:
        UserError: no folder can be made.
    """
    configuration = prepared.configuration
    home, checkpoint = configuration.home, configuration.checkpoint
    options: dict[str, Any] = {"default_hp_metric": False}
    folder = goes_on_in(checkpoint, home) if checkpoint is not None else None
    if folder is not None:
        assert configuration.saved is not None and checkpoint is not None
        # what was logged after the checkpoint will be logged again
        options |= {"version": folder.name, "purge_step": steps_done(configuration.saved, checkpoint)}
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")  # as intended
    else:  # other ranks ask the first one for the folder, and look for none themselves
        options["version"] = new_version(home).name if is_rank_zero() else "of_the_first_rank"
    return Board(home.parent, name=home.name, **options)


def _while_restoring(error: BaseException) -> bool:
    """Returns whether an error came up while Lightning restored a checkpoint: no step has been made then."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).name == "checkpoint_connector.py" and "restore" in frame.name for frame in frames)


@contextmanager
def _one_voice() -> Iterator[None]:
    """Leaves a failed write of TensorBoard's thread to the main one, which gets that error with its next write."""
    before = threading.excepthook
    threading.excepthook = lambda args: None if issubclass(args.exc_type, OSError) else before(args)
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _answer_for_ranks(checkpoint: Path | None) -> Iterator[None]:
    """Passes the first rank's checkpoint on to the ranks that Lightning starts by the same command line."""
    before = os.environ.get(GO_ON_FROM)
    if checkpoint is not None:
        os.environ[GO_ON_FROM] = str(checkpoint)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(GO_ON_FROM, None)
        else:
            os.environ[GO_ON_FROM] = before


def _leave_group() -> None:
    """Ends this process's part in a group of CPU processes, whose threads would now and then abort Python's own end.

    Lightning does so for NCCL only.
    """
    group = torch.distributed
    if group.is_available() and group.is_initialized() and group.get_backend() == "gloo":
        group.destroy_process_group()


@contextmanager
def signals_as_before() -> Iterator[None]:
    """Restores every signal's handler when the block ends; Lightning leaves some of its own."""
    if threading.current_thread() is not threading.main_thread():  # only that one may set any
        yield
        return
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


def _print_summary(prepared: Prepared) -> None:
    """Prints the best loss, where its checkpoint is saved, and the commands that use it."""
    _, data, trainer = prepared.made()
    config, tokens = prepared.configuration.config, data.tokens
    savers = [saver for saver in trainer.checkpoint_callbacks if isinstance(saver, ModelCheckpoint)]
    best = next((saver for saver in savers if saver.monitor == "val/loss"), None)
    if best is None or not best.best_model_path:
        return
    assert best.best_model_score is not None
    loss, path, program = (
        float(best.best_model_score),
        shlex.quote(os.path.relpath(best.best_model_path)),
        program_name(),
    )
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    prompts = [p for saver in callbacks if isinstance(saver, SampleText) for p in saver.fitting(tokens.tokenizer)]
    shown = (p for p in prompts if p.strip() and visible(p) == p)
    prompt = next((f" --prompt {shlex.quote(typed_prompt(p))}" for p in shown), "")
    result = Result.read(Path(best.best_model_path).parent.parent)
    exact = None if result is None or result.best is None else result.best.exact
    answered = "" if exact is None else f", {exact:.2%} of the held-out lines answered exactly"
    each, limit = len(data.val_dataloader()), trainer.limit_val_batches  # of each rank
    read = int(each * limit) if isinstance(limit, float) else min(limit, each)
    there = len(data.held_out_batches())
    first = min(read * trainer.world_size, there)
    part = "" if read == each else f", the first {first:,} of its {there:,} held-out batches"
    print(
        f"{styled(f'best val/loss {loss:.4f}', 'bold', 'green')} nats per {tokens.tokenizer.unit} "
        f"({tokens.held_out.bits_per_character(loss):.3f} bits per character) on {tokens.corpus}{part}{answered}\n"
        f"  saved in     {path}\n"
        f"  validate     {program} validate --ckpt_path {path}\n"
        f"  write text   {program} generate --ckpt_path {path}{prompt}\n"
        f"  look at it   {tensorboard_name()} --logdir {shlex.quote(str(config.runs_dir))}\n"
        f"  mail it      {program} report --ckpt_path {path}"
    )
