"""The LightningDataModule: prepares the corpus once, splits it, and deals it to the ranks in blocks."""

from pathlib import Path
from typing import Literal

import numpy as np
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_only

from lightning_gpt.errors import UserError
from lightning_gpt.text import (
    Corpus,
    HeldOutBlocks,
    HeldOutExamples,
    Tokens,
    TrainingBlocks,
    TrainingExamples,
    find_corpus,
    prepare,
)
from lightning_gpt.text.baselines import baselines
from lightning_gpt.text.blocks import MixedBlocks
from lightning_gpt.text.encodings import checked_encoding
from lightning_gpt.text.paths import Named, checked_endings, written
from lightning_gpt.text.split import Split
from lightning_gpt.tokens import Recipe, must_be_a_choice, tokenizer_recipe


class CharDataModule(LightningDataModule):
    """Random blocks to train on, the whole held-out text to validate on.

    Args:
        corpus: `tinyshakespeare`, `python-docs`, `addition`, or a path to a text file or a folder of them, or a pattern
            as `b/*.txt`; or several of these, with commas in between or as a list. For bytes as tokens, any file.
        block_size: context length T, in tokens.
        batch_size: blocks of a training batch, on each device.
        noise: share of the tokens read in training that are replaced by random ones of the text: against memorising
            it, where a run makes many passes over a short text.
        train_fraction: the first part of the text's characters, which is trained on; the rest is held out.
        split: where that part ends: `characters` (anywhere) or `files` (between two files, whole ones are held out).
        seed: of the training blocks; linked to --seed_everything.
        data_dir: the folder that fetched and prepared texts are saved in.
        offline_corpus: what to train on where a named corpus can't be had; null makes that an error.
        tokenizer: what a token is: `characters`, `bytes`, `bpe`, or the path of a tokenizer.json of byte-level BPE.
        vocab_size: how many tokens there shall be, for a tokenizer that leaves the choice: `bpe`, null for 512.
        encoding: of the text's files, as Python names it: `cp1252`, `utf-16`; null is UTF-8.
        endings: of the files that are read in a folder, as `.txt,.md`.
        answer_after: make each line an example of its own, of a question up to this marker (`=`; escapes as in a
            prompt) and its answer, which alone the loss is over; null: the text is read in blocks.
        new_characters: what happens to characters that the network of --init_from does not know: `refuse` the text,
            or `add` them, with weights of their own.
        rehearsal: share of a training batch's blocks that are drawn from another text, so that what was learned from
            it is not forgotten ("Catastrophic forgetting, rehearsal and pseudorehearsal", Robins 1995).
        rehearsal_corpus: that text, of which its own first `train_fraction` is read; with --init_from, null is the one
            that its network was trained on.

    Attributes:
        recipe: of a tokenizer to be used whatever the options say, that of a checkpoint; see `tokens.Recipe.of`.
        expected: (N, V), a teacher's probabilities of what comes after each of `train_ids`, which each batch then has
            as well; None: there are none.
    """

    def __init__(
        self,
        corpus: str | list[str] = "tinyshakespeare",
        block_size: int = 64,
        batch_size: int = 12,
        noise: float = 0.0,
        train_fraction: float = 0.9,
        split: Literal["characters", "files"] = "characters",
        seed: int = 1337,
        data_dir: str = "data",
        offline_corpus: str | None = "python-docs",
        tokenizer: str = "characters",
        vocab_size: int | None = None,
        encoding: str | None = None,
        endings: str = ".txt",
        answer_after: str | None = None,
        new_characters: Literal["refuse", "add"] = "refuse",
        rehearsal: float = 0.0,
        rehearsal_corpus: str | None = None,
    ) -> None:
        super().__init__()
        must_be_a_choice(tokenizer, vocab_size)
        checked_encoding(encoding)
        checked_endings(endings)
        Split(train_fraction, split)
        for name, value in {"block_size": block_size, "batch_size": batch_size}.items():
            if value < 1:
                raise UserError(f"data.{name} must be at least 1, not {value}")
        if not 0.0 <= noise < 1.0:
            raise UserError(f"data.noise must be in [0, 1), not {noise}")
        if not 0.0 <= rehearsal < 1.0:
            raise UserError(f"data.rehearsal must be in [0, 1), not {rehearsal}")
        if rehearsal and rehearsal_corpus is None:
            raise UserError("data.rehearsal needs a text: give its --data.rehearsal_corpus")
        if noise and answer_after is not None:
            raise UserError(
                "data.noise would ask another question than data.answer_after's answer is for: leave one out"
            )
        if rehearsal and answer_after is not None:
            raise UserError("data.rehearsal reads blocks, data.answer_after lines: leave one out")
        self.corpus = [str(path) for path in corpus] if isinstance(corpus, list | tuple) else str(corpus)
        try:
            self.source.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"data.corpus: the name {self.source!r} is not UTF-8, and a run could not save it: rename it, or name "
                "the folder that it is in"
            ) from None
        self.block_size = block_size
        self.batch_size = batch_size
        self.noise = noise
        self.train_fraction = train_fraction
        self.untyped: frozenset[str] = frozenset()  # names from a checkpoint's files, for which W&B is not asked
        self.split = split
        self.seed = seed
        self.data_dir = data_dir
        self.offline_corpus = offline_corpus
        self.tokenizer = tokenizer
        self.vocab_size = vocab_size
        self.answer_after = answer_after
        self.encoding = encoding
        self.endings = endings
        self.new_characters = new_characters
        self.rehearsal = rehearsal
        self.rehearsal_corpus = rehearsal_corpus
        self.recipe: Recipe | None = None
        self.expected: np.ndarray | None = None
        self.prepared: Tokens | None = None  # set by `prepare_data`, long enough or not
        self._rehearsed: Tokens | None = None
        self._baselines: dict[str, float] | None = None
        self._tokens: Tokens | None = None  # the same, once it is known to be long enough

    @property
    def source(self) -> str:
        """What names the text, as one string."""
        return written(self.corpus)

    @property
    def tokens(self) -> Tokens:
        """The whole corpus; there after `setup`."""
        assert self._tokens is not None, "setup() has not run yet"
        return self._tokens

    @property
    def sizes(self) -> tuple[int, int]:
        """The sizes that the data give a network: (vocab_size, block_size); there after `setup`."""
        return len(self.tokens.tokenizer), self.block_size

    @property
    def train_ids(self) -> np.ndarray:
        """The training split; there after `setup`."""
        return self.tokens.train_ids

    @property
    def val_ids(self) -> np.ndarray:
        """The held-out split; there after `setup`."""
        return self.tokens.val_ids

    def find_corpus(self) -> Corpus:
        """Finds the text, or its stand-in.

        Raises:
            UserError: there is none.
        """
        return self._find(self.corpus, self.offline_corpus)

    def _find(self, corpus: Named, offline: str | None) -> Corpus:
        fetch = written(corpus) not in self.untyped
        return find_corpus(corpus, self.data_dir, offline, self.endings, self.encoding, fetch)

    def prepare_data(self) -> None:
        """Fetches and prepares the text; a stand-in takes the given corpus' place from here on, and is announced."""
        if self._tokens is not None:
            return
        corpus = self.find_corpus()
        if corpus.instead_of:
            shout(f"NOT {corpus.instead_of}: this run reads the stand-in {corpus.name}")
            self.corpus = corpus.name
        folder = Path(self.data_dir) / "prepared"
        recipe = self.recipe or tokenizer_recipe(self.tokenizer, self.vocab_size)
        self.prepared = prepare(corpus, folder, self.train_fraction, recipe, self.split)
        if self.rehearsal and self.rehearsal_corpus is not None:
            earlier = self._find(self.rehearsal_corpus, None)
            recipe = Recipe.of(self.prepared.tokenizer)
            self._rehearsed = prepare(earlier, folder, self.train_fraction, recipe, self.split)

    def setup(self, stage: str) -> None:
        """Maps the prepared text and splits it.

        Raises:
            UserError: a split is too short for one block and its targets; or a line is no example, or too long.
        """
        if self._tokens is not None:
            return
        if self.prepared is None:  # on a rank that Lightning did not ask to prepare
            self.prepare_data()
        assert self.prepared is not None
        tokens = self.prepared.as_examples(self.answer_after)
        if tokens.examples is not None:
            tokens.examples.must_fit(self.block_size, tokens.corpus)
            self._tokens = tokens
            return
        parts = [(tokens, "training", tokens.train_ids), (tokens, "held-out", tokens.val_ids)]
        if self._rehearsed is not None:
            parts.append((self._rehearsed, "training", self._rehearsed.train_ids))
        for text, split, ids in parts:
            if len(ids) < self.block_size + 1:
                raise UserError(
                    f"{text.corpus} is too short: its {split} part has {len(ids)} {text.tokenizer.unit}s, a block "
                    f"needs {self.block_size + 1}; take a longer text or a smaller --data.block_size"
                )
        self._tokens = tokens

    def baselines(self) -> dict[str, float]:
        """Computes what counting alone reaches on the held-out text, in nats per token; see `text.baselines`."""
        if self._baselines is None:
            self._baselines = baselines(self.tokens)
        return self._baselines

    @property
    def tokens_per_batch(self) -> float:
        """How many tokens of text a training batch reads on each device; of lines on average, without padding."""
        examples = self.tokens.train_examples
        mean = self.block_size if examples is None else float((examples.ends - examples.starts).mean())
        return self.batch_size * mean

    def held_out_batches(self, rank: int = 0, ranks: int = 1) -> HeldOutBlocks | HeldOutExamples:
        """Makes batches of the held-out text, every target once."""
        if (examples := self.tokens.val_examples) is not None:
            return HeldOutExamples(self.tokens.ids, examples, self.block_size, rank, ranks)
        return HeldOutBlocks(self.val_ids, self.block_size, rank, ranks)

    def train_dataloader(self) -> TrainingBlocks | MixedBlocks | TrainingExamples:
        """Makes endless batches, beginning with the one that a resumed run is due."""
        assert self.trainer is not None
        done = self.trainer.fit_loop.epoch_loop.batch_progress.total  # as the checkpoint counted them
        first: int = done.processed  # type: ignore[attr-defined]
        sizes = self.block_size, self.batch_size, self.seed, self.trainer.global_rank, first
        if (examples := self.tokens.train_examples) is not None:
            return TrainingExamples(self.tokens.ids, examples, *sizes)
        blocks = TrainingBlocks(self.train_ids, *sizes, self.noise, self.expected)
        if self._rehearsed is None:
            return blocks
        return MixedBlocks(blocks, TrainingBlocks(self._rehearsed.train_ids, *sizes, self.noise), self.rehearsal)

    def val_dataloader(self) -> HeldOutBlocks | HeldOutExamples:
        """Makes this rank's batches of the held-out text, see `held_out_batches`."""
        assert self.trainer is not None
        return self.held_out_batches(self.trainer.global_rank, self.trainer.world_size)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader


@rank_zero_only
def shout(line: str) -> None:
    """Prints a line that nobody can miss."""
    rule = "!" * min(len(line), 79)
    print(f"\n{rule}\n{line}\n{rule}\n", flush=True)
