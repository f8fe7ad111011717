"""The page with everything is the Trainer's own run, digit for digit."""

import re
import sys
from functools import partial
from itertools import islice

import pytest
import torch
from conftest import TEXT, drawn_by_multinomial
from lightning.pytorch import Callback, Trainer, seed_everything

from lightning_gpt import lecture
from lightning_gpt.ladder import GPT, LayerNormGPT
from lightning_gpt.text import find_corpus, prepare
from lightning_gpt.training import AdamW, CharDataModule, LanguageModel

STEPS = 40


class Losses(Callback):
    """Keeps every training loss."""

    def __init__(self):
        self.train = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.train.append(outputs["loss"].item())


@pytest.mark.parametrize("network", [LayerNormGPT, GPT])
def test_its_losses_are_the_trainers_to_the_last_digit(tmp_path, network):
    network = partial(network, n_layer=2, n_head=2, n_embd=16)
    (tmp_path / "text.txt").write_text(TEXT)
    losses = Losses()
    trainer = Trainer(
        max_steps=STEPS, max_epochs=-1, num_sanity_val_steps=0, check_val_every_n_epoch=None, val_check_interval=STEPS,
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=losses,
    )  # fmt: skip
    module = LanguageModel(network, AdamW(lr=1e-2, betas=(0.9, 0.999), weight_decay=0.01))
    data = CharDataModule(str(tmp_path / "text.txt"), block_size=16, batch_size=4, data_dir=str(tmp_path), seed=7)
    seed_everything(7)
    trainer.fit(module, datamodule=data)

    characters, ids = lecture.numbered(TEXT)
    n = int(0.9 * len(ids))
    torch.manual_seed(7)
    net = network(len(characters), 16)
    assert list(islice(lecture.training(net, ids[:n], 4, 1e-2, seed=7), STEPS)) == losses.train
    # torchmetrics rounds each batch's sum to fp32 on its way into the fp64 mean: half a last digit
    assert lecture.exact_loss(net, ids[n:]) == pytest.approx(trainer.callback_metrics["val/loss"].item(), rel=2**-24)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), module.net.parameters(), strict=True))


def test_its_sample_is_decodings_own():
    torch.manual_seed(0)
    net = GPT(11, 8, n_layer=1, n_head=1, n_embd=8)
    ids = torch.arange(6).view(2, 3)
    torch.manual_seed(5)
    mine = lecture.written(net, ids, 20)
    torch.manual_seed(5)
    assert torch.equal(mine, torch.cat([ids, drawn_by_multinomial(net, ids, 20, cached=False)], dim=1))


def test_its_vocabulary_is_that_of_the_prepared_text(tmp_path):
    (tmp_path / "text.txt").write_text("héllo, wörld\n" * 9, encoding="utf-8")
    tokens = prepare(find_corpus(str(tmp_path / "text.txt")), tmp_path / "prepared")
    characters, ids = lecture.numbered((tmp_path / "text.txt").read_text(encoding="utf-8"))
    assert characters == "\n ,dhlorwéö"
    assert ids.tolist() == tokens.ids.tolist()


def test_the_page_runs_by_itself(monkeypatch, capsys, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    monkeypatch.setattr(sys, "argv", ["lecture", f"--corpus={tmp_path / 'text.txt'}", "--steps=3"])
    lecture.main()
    out = capsys.readouterr().out
    step, sample = out.split("step 3: ")[1].split("\n", 1)
    assert re.fullmatch(r"train \d\.\d{4}, held out \d\.\d{4}", step)
    assert len(sample) == 302 and set(sample) <= set(TEXT)  # the first character, 300 more, and print's line break
