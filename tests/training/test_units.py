"""Bits per character and per byte are of the text that was read, whatever the precision and however much of it."""

import math
from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer

from lightning_gpt.ladder import GPT
from lightning_gpt.text import HeldOutBlocks
from lightning_gpt.training import CharDataModule, LanguageModel

TEXT = "a é 月 wort\n" * 600


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("batches", [1, 3, None])
def test_they_are_those_of_the_targets(tmp_path, monkeypatch, precision, batches):
    monkeypatch.setattr(HeldOutBlocks, "TOKENS", 56)  # batches that differ in bytes
    (tmp_path / "text.txt").write_text(TEXT)
    data = CharDataModule(str(tmp_path / "text.txt"), block_size=8, train_fraction=0.1, data_dir=str(tmp_path / "data"))
    trainer = Trainer(
        accelerator="cpu", precision=precision, limit_val_batches=batches, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.validate(LanguageModel(partial(GPT, n_layer=1, n_head=1, n_embd=8)), data, verbose=False)
    loss, per_character, per_byte = (
        trainer.callback_metrics[f"val/{name}"].item() for name in ("loss", "bits_per_char", "bits_per_byte")
    )
    read = "".join(
        data.tokens.tokenizer.decode(y[y >= 0])
        for i, (_, y) in enumerate(HeldOutBlocks(data.val_ids, 8))
        if batches is None or i < batches
    )
    assert per_character == pytest.approx(loss / math.log(2), rel=1e-6)
    assert per_byte == pytest.approx(loss / math.log(2) * len(read) / len(read.encode()), rel=1e-6)
    assert torch.isfinite(torch.tensor(loss))
