"""What a checkpoint says of where its weights come from, over several runs and texts."""

import pytest
from conftest import TEXT, TINY

import lightning_gpt
from lightning_gpt.cli import main

LAST = "runs/gpt/version_0/checkpoints/last.ckpt"


def fit(*options):
    assert main(["fit", *options]) == 0
    return [(origin.how, origin.corpus, origin.steps) for origin in lightning_gpt.load(LAST).record.provenance]


@pytest.fixture
def here(shell, monkeypatch):
    monkeypatch.chdir(shell.folder)
    (shell.folder / "other.txt").write_text(TEXT[::-1])
    return shell.folder


def test_each_text_is_named_with_its_steps_and_a_resume_adds_none(here):
    assert fit("--data.corpus=text.txt", *TINY, "--trainer.max_steps=10") == [("trained", "text.txt", 10)]
    resumed = fit(f"--ckpt_path={LAST}", "--trainer.max_steps=20")
    assert resumed == [("trained", "text.txt", 20)]
    both = fit(f"--ckpt_path={LAST}", "--data.corpus=other.txt", "--trainer.max_steps=30")
    assert both == [("trained", "text.txt", 20), ("fine-tuned", "other.txt", 10)]
    both = fit(f"--ckpt_path={LAST}", "--data.corpus=other.txt", "--trainer.max_steps=40")
    assert both == [("trained", "text.txt", 20), ("fine-tuned", "other.txt", 20)]
