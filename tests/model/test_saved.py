"""What `TrainedGPT.save` writes: weights and record, without the optimizer."""

import re

import torch

import lightning_gpt
from lightning_gpt.cli import main


def test_it_validates_as_the_runs_own_checkpoint_and_is_smaller(trained, shell, monkeypatch, capsys):
    monkeypatch.chdir(trained.folder)
    gpt = lightning_gpt.load(trained.best)
    small = shell.folder / "small.ckpt"
    gpt.save(small)
    assert small.stat().st_size < trained.best.stat().st_size / 2
    assert lightning_gpt.load(small).record == gpt.record
    losses = []
    for path in (trained.best, small):
        assert main(["validate", f"--config={trained.run}/config.yaml", f"--ckpt_path={path}"]) == 0
        losses += re.findall(r"val/loss\W+(\S+)", capsys.readouterr().out)
    assert len(losses) == 2 and losses[0] == losses[1]


def test_a_run_can_not_go_on_from_it(trained, shell, monkeypatch, capsys):
    monkeypatch.chdir(trained.folder)
    small = shell.folder / "small.ckpt"
    lightning_gpt.load(trained.best).save(small)
    assert "optimizer_states" not in torch.load(small, weights_only=True)
    fit = ["fit", f"--config={trained.run}/config.yaml", f"--ckpt_path={small}", "--trainer.max_steps=30"]
    assert main([*fit, f"--runs_dir={shell.folder}/runs"]) == 2
    assert "weights only" in capsys.readouterr().err and not (shell.folder / "runs").exists()
