"""The LightningModule of every rung: its network, optimizer and the checkpoint's record. Holds no layers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lightning_gpt import machine
from lightning_gpt.errors import UserError
from lightning_gpt.ladder import Network
from lightning_gpt.model import TrainedGPT, load
from lightning_gpt.model.checkpoint import must_hold
from lightning_gpt.model.record import KEY, CorpusRecord, Origin, Record
from lightning_gpt.model.transfer import must_be_alike, transfer
from lightning_gpt.runs.resume import carry_over, relocated
from lightning_gpt.terminal import row, visible
from lightning_gpt.text.mapped import token_counts
from lightning_gpt.tokens import Tokenizer
from lightning_gpt.tokens.tokenizer import listed, token_ids
from lightning_gpt.training.datamodule import CharDataModule
from lightning_gpt.training.optimizer import AdamW, Muon, OptimizerRecipe
from lightning_gpt.training.replay import Replay, replayable
from lightning_gpt.training.restoring import prepare_to_restore, state_after_a_step
from lightning_gpt.training.schedule import Schedule
from lightning_gpt.training.sharding import Sharded, gathered, must_suit, network_class, shard
from lightning_gpt.training.steps import Steps
from lightning_gpt.training.teacher import Teacher


def in_fit(trainer: Trainer) -> bool:
    """Tells a validation that belongs to a fit from a sanity check, and from validate, test and predict."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking


class LanguageModel(Steps):
    """Trains a network to give each next token a high probability; its losses and what is logged of them: see `Steps`.

    The network is made when the data is known: its vocabulary and block size are the data's.

    Args:
        network: a rung of the ladder and its sizes.
        optimizer: the recipe that makes its optimizer.
        schedule: the learning rate's course.
        compile: compile the network (needs a C++ compiler; worth its minute in long runs). On one CUDA device passes
            are replayed if it is not compiled, which serves small networks as well, see `training.replay`.
        freeze_blocks: how many blocks, from the input on, keep the weights that they begin with.
        teacher: a checkpoint whose network's probabilities are learned in place of the text's next tokens, see
            `teacher.Teacher`; the losses that are logged are on the text all the same.

    Attributes:
        source: a trained network whose weights the run begins with; to be set before the run.
    """

    def __init__(
        self,
        network: Callable[[int, int], Network],
        optimizer: OptimizerRecipe | None = None,
        schedule: Schedule = Schedule(),
        compile: bool = False,
        freeze_blocks: int = 0,
        teacher: str | None = None,
    ) -> None:
        super().__init__()
        self.make_network = network
        self.optimizer_recipe = optimizer or AdamW()
        self.schedule = schedule
        self.compile_network = compile
        self.freeze_blocks = freeze_blocks
        self.teacher = teacher
        self.source: TrainedGPT | None = None
        self.net: Network | None = None
        self.record: Record | None = None  # of the network, which another text must fit
        self._configured = False
        self._replay: Replay | None = None
        self.provenance: tuple[Origin, ...] = ()  # of the weights, before the text of this run
        self._earlier_steps = 0  # how many of this run's steps were on earlier texts

    # ---------------------------------------------------------------------------------------------- the network

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the run's corpus."""
        return self.data.tokens.tokenizer

    def check(
        self, data: CharDataModule, checkpoint: dict[str, Any] | None, path: str | Path, fit: Trainer | None
    ) -> None:
        """Finds what would stop a run on this data, from this checkpoint, without making the network's weights.

        Args:
            data: set up.
            checkpoint: what the run begins from, as it was read from `path`.
            path: its file.
            fit: the Trainer of a fit; None: nothing will be trained.

        Raises:
            UserError: a negative rate, a strategy that would train wrongly, sizes that do not go together, or a
                checkpoint of another network, tokenizer or optimizer; the last of these matters to a fit only.
        """
        self.optimizer_recipe.check()
        if fit is not None:
            must_suit(fit.strategy)
        net = self.blueprint(*data.sizes)
        if fit is not None and data.batch_size < net.n_member:
            raise UserError(f"data.batch_size must be at least n_member {net.n_member}, not {data.batch_size}")
        if self.source is not None:
            must_be_alike(self.source, net)
        if fit is not None and self.teacher is not None:
            self._teacher = Teacher(self.teacher)
            self._teacher.must_fit(data.tokens.tokenizer, data.block_size)
        if checkpoint is not None:
            Record.of(checkpoint, path).must_fit(self.record_of(net, data))
            must_hold(checkpoint, net, path)
            if fit is not None:
                self._prepare_to_restore(checkpoint, path, fit, net)

    def blueprint(self, vocab_size: int, block_size: int) -> Network:
        """Makes the network without memory for its weights, and without using up a random number.

        Raises:
            UserError: sizes that do not go together.
        """
        with torch.device("meta"):
            return self.make_checked(vocab_size, block_size)

    def make_checked(self, vocab_size: int, block_size: int) -> Network:
        """Makes the network.

        Raises:
            UserError: sizes that do not go together.
        """
        try:
            net = self.make_network(vocab_size, block_size)
        except ValueError as error:
            raise UserError(f"model.network: {error}") from error
        self._freeze(net)
        return net

    def _freeze(self, net: Network) -> None:
        try:
            net.freeze(self.freeze_blocks)
        except ValueError as error:
            raise UserError(f"model.freeze_blocks: {error}") from error

    def record_of(self, net: Network, data: CharDataModule, steps: int = 0) -> Record:
        """Makes the record of a network after `steps` of this run, with the text that it is trained on."""
        tokens = data.tokens
        corpus = CorpusRecord.of(tokens, data.source, data.endings)
        how = "fine-tuned" if self.provenance else "distilled" if self.teacher else "trained"
        teacher = self._teacher.sha256 if self._teacher else None
        here = Origin(how, tokens.corpus, tokens.sha256, steps - self._earlier_steps, teacher)
        return Record(network_class(net).__name__, net.sizes, tokens.tokenizer, corpus, (*self.provenance, here))

    def configure_model(self) -> None:
        """Makes the network; Lightning calls this when the data has been set up, and may call it again.

        Raises:
            UserError: sizes that do not go together, a network that is there and was made for another text, or a
                strategy that would train it wrongly.
        """
        must_suit(self.trainer.strategy)
        if self.net is not None and self.record is not None:
            self.record.must_fit(self.record_of(self.net, self.data))
            if self.data.block_size > (longest := int(self.record.sizes["block_size"] or 0)):
                raise UserError(
                    f"the network reads at most {longest} tokens, not data.block_size {self.data.block_size}"
                )
        if self._configured:
            return
        self._configured = True
        if self.net is None:
            self.net = self.make_checked(*self.data.sizes)
            if self.source is not None:
                self._begin_with(self.source, self.net)
            self.record = self.record_of(self.net, self.data)
        device = self.trainer.strategy.root_device.type
        self.held_out.token_lengths = torch.from_numpy(self.data.tokens.token_lengths)
        self.held_out.of_examples = self.data.tokens.examples is not None
        if self.compile_network and device == "cpu" and not machine.has_compiler():
            self.print("not compiled: there is no C++ compiler (g++) on this machine; the run is slower, and the same")
        elif self.compile_network and device == "mps":
            self.print("not compiled: torch.compile is not ready for MPS; the run is slower, and the same")
        elif self.compile_network:
            # in place: torch.compile(net) would put _orig_mod. into every checkpoint key. With dropout drawn as without
            # compilation: on a CPU its generated random numbers cost more than the network
            self.net.compile(options={"fallback_random": True})
        if isinstance(self.trainer.strategy, Sharded):
            shard(self.net, self.trainer.strategy.root_device)

    def _begin_with(self, source: TrainedGPT, net: Network) -> None:
        """Copies a trained network's weights, and its provenance."""
        must_be_alike(source, net)
        transfer(source, net, self.tokenizer)
        self.provenance = source.record.provenance
        mine, theirs = token_ids(self.tokenizer), token_ids(source.tokenizer)
        if added := [token for name, token in mine.items() if name not in theirs]:
            counts = token_counts(self.data.tokens.ids, len(mine)).tolist()
            new = {self.tokenizer.token_text(token): counts[token] for token in added}
            self.print(f"new to the network: {len(added):,} {self.tokenizer.unit}s, {listed(new)}")

    def whole_net(self) -> Network | None:
        """Returns a network, on the CPU, that one rank can run by itself; None but on the first. All must call it."""
        assert self.net is not None
        return gathered(self.net, self.trainer.is_global_zero)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) to logits (B, T, V)."""
        assert self.net is not None
        return self.net(ids)

    def trained(self, ids: Tensor) -> Tensor:
        """As `forward`, in a training step; replayed where that can be done."""
        # a second batch's gradients would be written over the first one's, to which they are to be added
        if self._replay is None or self.trainer.accumulate_grad_batches > 1:
            return self(ids)
        return self._replay(ids)

    def on_fit_start(self) -> None:
        """Prepares replaying, and reads the teacher, where there is one.

        Raises:
            UserError: it can't be read, or can't read what is learned.
        """
        assert self.net is not None
        self._replay = Replay(self.net) if replayable(self.net, self.trainer) and not self.compile_network else None
        self.data.expected = None
        if self.teacher is None:
            return
        self._teacher = self._teacher or Teacher(self.teacher)
        self._teacher.must_fit(self.tokenizer, self.data.block_size)
        self._teacher.to(self.device)
        if self._teacher.had_better_read_once(self.data, self.schedule.planned(self.trainer.max_steps)):
            tokens, unit = len(self.data.train_ids), self.tokenizer.unit
            self.print(row("teacher", f"reads the text once, before the first step: {tokens:,} {unit}s"))
            with self.trainer.precision_plugin.forward_context():
                self.data.expected = self._teacher.read(self.data.train_ids)

    def on_fit_end(self) -> None:
        """Forgets what was recorded: the weights will lie elsewhere."""
        self._replay = None

    # --------------------------------------------------------------------------------------------- the optimizer

    def lr_share(self, step: int) -> float:
        """Computes the share of the full learning rate at `step`."""
        return self.schedule(step, self.trainer.max_steps)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Makes the optimizer and its schedule, applied at every step.

        Raises:
            UserError: a decay without a last step to reach.
        """
        assert self.net is not None
        self.schedule.check(self.trainer.max_steps)
        precision = str(self.trainer.precision)
        fused = precision != "16-mixed"  # else Lightning leaves gradients scaled (#21435)
        optimizer = self.optimizer_recipe.build(self.net, fused, bf16=precision.startswith("bf16"))
        schedule = LambdaLR(optimizer, self.lr_share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # --------------------------------------------------------------------------------------------- the checkpoint

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # no hparams_file: the checkpoint's record says it all
        cls,
        checkpoint_path: str | Path,
        map_location: str | torch.device | None = None,
        **options: Any,
    ) -> "LanguageModel":
        """Loads a trained module; the file is read as tensors and plain values only.

        It is in training mode, as Lightning leaves it: put it into eval mode before you use it by itself.

        Args:
            checkpoint_path: a .ckpt file of this project.
            map_location: the device for the weights; None: the CPU.
            options: `optimizer`, `schedule`, `compile`, `freeze_blocks` and `teacher`, which a checkpoint does not
                hold.

        Raises:
            UserError: no such file, not a checkpoint of this project, or damaged.
        """
        gpt = load(checkpoint_path, map_location or "cpu")
        sizes = {name: size for name, size in gpt.network.sizes.items() if name not in ("vocab_size", "block_size")}
        network: Callable[..., Network] = type(gpt.network)
        module = cls(partial(network, **sizes), **options)
        module.net, module.record = gpt.network, gpt.record
        module._freeze(gpt.network)
        module.provenance = gpt.record.provenance
        return module.train()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the record, so that the file can be used by itself."""
        assert self.net is not None
        checkpoint[KEY] = self.record_of(self.net, self.data, self.global_step).as_dict()

    def _prepare_to_restore(self, checkpoint: dict[str, Any], path: str | Path, trainer: Trainer, net: Network) -> None:
        """See `restoring.prepare_to_restore`; `net` is on the meta device."""
        optimizer = self.optimizer_recipe.build(net, fused=False)
        ours = isinstance(self.optimizer_recipe, AdamW | Muon)
        expected = state_after_a_step(optimizer) if ours else None
        prepare_to_restore(checkpoint, path, trainer, optimizer, expected)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the checkpoint's weights and state; the configuration's rates, decay, schedule and patience hold.

        Raises:
            UserError: it was made for another network, another tokenizer or another optimizer.
        """
        assert self.net is not None
        saved, mine = Record.of(checkpoint, "the checkpoint"), self.record_of(self.net, self.data)
        saved.must_fit(mine)
        if self.trainer.state.fn != "fit":
            checkpoint["callbacks"] = {}  # of the fit; Lightning would warn that they are not here now
            return
        assert mine.corpus is not None
        same_text = saved.corpus is not None and saved.corpus.sha256 == mine.corpus.sha256
        if not same_text:
            before = saved.corpus.name if saved.corpus else "an unknown one"
            self.print(f"goes on with another text: {mine.corpus.name}, after {visible(before)}")
        *earlier, last = saved.provenance or (mine.provenance[-1],)
        same_teacher = last.teacher == mine.provenance[-1].teacher
        if not same_teacher:
            self.print("goes on with another teacher, or without one" if last.teacher else "goes on with a teacher")
        goes_on = same_text and same_teacher
        self.provenance = tuple(earlier) if goes_on else saved.provenance
        self._earlier_steps = checkpoint["global_step"] - (last.steps if goes_on and saved.provenance else 0)
        groups = self.optimizer_recipe.build(self.net).param_groups
        self._prepare_to_restore(checkpoint, "the checkpoint", self.trainer, self.blueprint(*self.data.sizes))
        carry_over(checkpoint, groups, self.lr_share(checkpoint["global_step"]))
        states = checkpoint["callbacks"]
        for stopping in self.trainer.early_stopping_callbacks:
            if state := states.get(stopping.state_key):
                state["patience"] = stopping.patience
        for saving in self.trainer.checkpoint_callbacks:
            if isinstance(saving, ModelCheckpoint) and (state := states.get(saving.state_key)):
                relocated(state, str(saving.dirpath))
