"""Text written while the network learns: fixed prompts at every validation, on the terminal and in TensorBoard."""

from collections.abc import Sequence

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_gpt.generation import TrainedGPT
from lightning_gpt.generation.decoding import check_options
from lightning_gpt.training.module import LanguageModel


class SampleText(Callback):
    """Continues each prompt with the same seed at every validation, so that only the network's progress shows.

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
        for number, prompt in enumerate(self.prompts):
            known = "".join(c for c in prompt if c in gpt.vocabulary.characters) or gpt.vocabulary.characters[0]
            text = known + gpt.generate(
                known, self.max_new_tokens, self.temperature, self.top_k, self.top_p, seed=self.seed
            )
            write_text(trainer, f"sample/{prompt!r}", text)
            if number == 0 and self.preview:
                shown = text.strip()[: self.preview].splitlines()
                pl_module.print("".join(f"    | {line}\n" for line in shown))


def write_text(trainer: Trainer, tag: str, text: str) -> None:
    """Text under a tag of TensorBoard's text page, at the last step done, counted from 0 as Lightning counts."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(tag, as_markdown(text), max(trainer.global_step - 1, 0))


def as_markdown(text: str) -> str:
    """Text as a code block, the one form that TensorBoard shows with its line breaks and without styling it."""
    return "\n".join("    " + line for line in text.split("\n"))
