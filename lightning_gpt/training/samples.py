"""Writes samples during training: fixed prompts at every validation, on the terminal and in TensorBoard."""

from collections.abc import Sequence

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt.errors import UserError
from lightning_gpt.model import Sampling, TrainedGPT
from lightning_gpt.terminal import styled, visible
from lightning_gpt.text.overlap import OverlapIndex, training_index
from lightning_gpt.tokens import Tokenizer
from lightning_gpt.training.loggers import write_numbers, write_text
from lightning_gpt.training.module import LanguageModel, in_fit

MOST_PROMPTS = 100
MOST_TOKENS = 1_000_000  # of all prompts at a validation: half an hour of a small network


class SampleText(Callback):
    """Continues each prompt with the same seed at every validation, so that only the network's progress shows.

    How much of them is copied from the training text goes to TensorBoard as `novelty/longest_copied` (characters) and
    `novelty/share_copied`, unless that text is too long to be indexed.

    Args:
        prompts: texts to continue; one that the text's characters can't spell is left out. None: texts begin as the
            corpus does.
        max_new_tokens: tokens to write for each; 0: write none.
        temperature: see `Sampling`.
        top_k: see `Sampling`.
        top_p: see `Sampling`.
        seed: of the sample's own random generator; training's is not touched.
        preview: characters of the first sample that are printed.

    Raises:
        UserError: an option out of its range, or more to write than a validation has time for.
    """

    def __init__(
        self,
        prompts: Sequence[str] | None = None,
        max_new_tokens: int = 200,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 1337,
        preview: int = 120,
    ) -> None:
        self.prompts = list(prompts or [])
        self.sampling = Sampling(max_new_tokens, temperature, top_k, top_p, seed)
        if len(self.prompts) > MOST_PROMPTS:
            raise UserError(f"sample.prompts may be {MOST_PROMPTS}, not {len(self.prompts)}: each is written anew")
        texts = max(1, len(self.prompts))  # without one a text begins as the corpus does
        if texts * max_new_tokens > MOST_TOKENS:
            raise UserError(
                f"sample.max_new_tokens {max_new_tokens} for each of {texts} texts are more than the {MOST_TOKENS:,} "
                "tokens that a validation may write"
            )
        if preview < 0:
            raise UserError(f"sample.preview must be at least 0, not {preview}")
        self.preview = preview
        self._index: OverlapIndex | None = None

    def fitting(self, tokenizer: Tokenizer) -> list[str]:
        """Returns the prompts that the text's tokens can spell."""
        return [prompt for prompt in self.prompts if prompt and tokenizer.spells(prompt)]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says which prompts are left out."""
        assert isinstance(pl_module, LanguageModel)
        fitting = self.fitting(pl_module.tokenizer)
        if left_out := [repr(prompt) for prompt in self.prompts if prompt and prompt not in fitting]:
            pl_module.print(f"no sample begins with {', '.join(left_out)}: this text can't spell that\n")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the samples; on rank 0 and during a fit only."""
        if not in_fit(trainer) or not self.sampling.max_new_tokens:
            return
        assert isinstance(pl_module, LanguageModel)
        net = pl_module.whole_net()
        if net is None:
            return
        gpt = TrainedGPT(net, pl_module.tokenizer, pl_module.record_of(net, pl_module.data))
        written = []
        for number, prompt in enumerate(self.fitting(gpt.tokenizer) or [gpt.begin]):
            written.append(gpt.generate(prompt, **vars(self.sampling)))
            text = gpt.readable(prompt) + written[-1]
            write_text(trainer, f"sample/{prompt!r}", text)
            if number == 0 and self.preview:
                seen = visible(text.strip()[: self.preview])
                shown = seen.split("\n")
                bar = styled("|", "dim")
                pl_module.print("".join(f"    {bar} {line}\n" for line in shown))
        self._log_novelty(trainer, pl_module, written)

    def _log_novelty(self, trainer: Trainer, module: LanguageModel, written: list[str]) -> None:
        if not trainer.loggers:
            return
        if self._index is None:
            self._index = training_index(module.data.tokens)
        if self._index is None:
            return
        overlaps = [self._index.of(sample) for sample in written]
        longest = max(overlap.longest for overlap in overlaps)
        share = sum(overlap.share for overlap in overlaps) / len(overlaps)  # a plain mean, for they are of one length
        write_numbers(trainer, {"novelty/longest_copied": longest, "novelty/share_copied": share})
