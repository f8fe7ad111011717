"""Text written while the network learns: fixed prompts at every validation, on the terminal and in TensorBoard."""

from collections.abc import Sequence

from lightning.pytorch import Callback, LightningModule, Trainer

from lightning_gpt.generation import TrainedGPT
from lightning_gpt.generation.decoding import check_options
from lightning_gpt.terminal import styled
from lightning_gpt.text.overlap import MOST, OverlapIndex
from lightning_gpt.training.board import write_text, writer_of
from lightning_gpt.training.module import LanguageModel


class SampleText(Callback):
    """Continues each prompt with the same seed at every validation, so that only the network's progress shows.

    How much of that is copied from the training text goes to TensorBoard as `novelty/longest_copied` (characters) and
    `novelty/share_copied`, if the text is one that can be indexed in a moment.

    Args:
        prompts: texts to continue; characters that the corpus lacks are left out. None: a line break.
        max_new_tokens: characters to write for each; 0: write none.
        temperature: see `generate`.
        top_k: see `generate`.
        top_p: see `generate`.
        seed: of the sample's own random generator; training's is not touched.
        preview: characters of the first sample that are printed.
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
        check_options(max_new_tokens, temperature, top_k, top_p)
        self.prompts = list(prompts) if prompts else ["\n"]
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed
        self.preview = preview
        self._index: OverlapIndex | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the samples; on rank 0 and during a fit only."""
        if (
            trainer.state.fn != "fit"
            or trainer.sanity_checking
            or not trainer.is_global_zero
            or not self.max_new_tokens
        ):
            return
        assert isinstance(pl_module, LanguageModel) and pl_module.net is not None
        gpt = TrainedGPT(pl_module.net, pl_module.vocabulary)
        written = []
        for number, prompt in enumerate(self.prompts):
            known = "".join(c for c in prompt if c in gpt.vocabulary.characters) or gpt.vocabulary.characters[0]
            written.append(
                gpt.generate(known, self.max_new_tokens, self.temperature, self.top_k, self.top_p, seed=self.seed)
            )
            text = known + written[-1]
            write_text(trainer, f"sample/{prompt!r}", text)
            if number == 0 and self.preview:
                visible = "".join(c if c.isprintable() or c == "\n" else "□" for c in text.strip()[: self.preview])
                shown = visible.split("\n")
                bar = styled("|", "dim")
                pl_module.print("".join(f"    {bar} {line}\n" for line in shown))
        self._log_novelty(trainer, pl_module, written)

    def _log_novelty(self, trainer: Trainer, module: LanguageModel, written: list[str]) -> None:
        writer, text = writer_of(trainer), module.data.train_ids
        if writer is None or text.nbytes > MOST:
            return
        if self._index is None:
            self._index = OverlapIndex(text)
        overlaps = [self._index.of(module.vocabulary.encode(sample).numpy()) for sample in written]
        step = max(trainer.global_step - 1, 0)
        writer.add_scalar("novelty/longest_copied", max(overlap.longest for overlap in overlaps), step)
        # of texts of one length
        writer.add_scalar("novelty/share_copied", sum(overlap.share for overlap in overlaps) / len(overlaps), step)
