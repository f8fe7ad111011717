"""A checkpoint of format 1, made by version 0.1, is read for good. All numbers here were printed by 0.1 itself."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from conftest import drawn_by_multinomial

import lightning_gpt
from lightning_gpt.cli import main
from lightning_gpt.model import CorpusRecord, Origin

FILES = Path(__file__).parent.parent / "data" / "format1"
LAST = "runs/old/version_0/checkpoints/last.ckpt"
SHA256 = "fedf24b9fdf844d1aaf3091937b4cfdc5afb19bc6dbb10910c21caed52bfe576"
WRITTEN = "t '\nu reufoesndete otsorN\nktim N\nvdide oeee   leN\ne tyNsolt,"  # after "Shall", seed 7, temperature 0.8
LOSS = 2.966127695575837  # after its 60 steps
RESUMED_LOSS = 2.9031623730095486  # after 30 more
RESUMED_WEIGHTS = {  # sums
    "net.token_embedding.weight": -0.09927906061057001,
    "net.blocks.0.attention.qkv.weight": 0.22564578213496134,
    "net.blocks.0.mlp.projection.weight": 0.8381143808655906,
    "net.norm.weight": 10.513110518455505,
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder in which the old run lies as 0.1 left it."""
    monkeypatch.chdir(tmp_path)
    last = tmp_path / LAST
    last.parent.mkdir(parents=True)
    shutil.copy(FILES / "last.ckpt", last)
    shutil.copy(FILES / "config.yaml", last.parent.parent)
    shutil.copy(FILES / "text.txt", tmp_path)
    return last.parent.parent


def held_out():
    text = (FILES / "text.txt").read_text()
    return text[int(0.9 * len(text)) :]


def test_it_is_small_and_of_format_1():
    record = torch.load(FILES / "last.ckpt", weights_only=True)["lightning_gpt"]
    assert record["format"] == 1 and sum(path.stat().st_size for path in FILES.iterdir()) < 60_000


def test_its_record_says_what_format_1_knew(run):
    record = lightning_gpt.load(LAST).record
    assert record.corpus == CorpusRecord("text.txt", "text.txt", SHA256, 1867, None, 1867, None)
    assert record.provenance == (Origin("trained", "text.txt", SHA256, 60),)


def test_it_writes_what_it_wrote(run):
    """Drawn as 0.1 drew: 0.2 draws otherwise from the same probabilities, see `next_token`."""
    gpt = lightning_gpt.load(LAST)
    prompt, generator = gpt.tokenizer.encode("Shall")[None], torch.Generator().manual_seed(7)
    drawn = drawn_by_multinomial(gpt.network, prompt, 60, 0.8, generator)
    assert gpt.tokenizer.decode(drawn[0]) == WRITTEN
    assert gpt.loss(held_out()) == pytest.approx(LOSS, abs=1e-5)


def test_it_is_validated(run, capsys):
    assert main(["validate", f"--ckpt_path={LAST}"]) == 0
    assert re.search(rf"val/loss\W+{LOSS:.4f}", capsys.readouterr().out)


def test_it_goes_on_as_it_would_have(run, capsys):
    """With its optimizer, its dropout's draws and its place in the data; the new file is of format 2."""
    assert main(["fit", f"--ckpt_path={LAST}", "--trainer.max_steps=90"]) == 0
    assert f"val {RESUMED_LOSS:.4f} nats" in capsys.readouterr().out
    saved = torch.load(LAST, weights_only=True)
    assert saved["global_step"] == 90 and saved["lightning_gpt"]["format"] == 2
    for name, total in RESUMED_WEIGHTS.items():
        assert saved["state_dict"][name].double().sum().item() == pytest.approx(total, abs=1e-4), name
    gpt = lightning_gpt.load(LAST)
    assert gpt.loss(held_out()) == pytest.approx(RESUMED_LOSS, abs=1e-5)
    assert gpt.record.provenance == (Origin("trained", "text.txt", SHA256, 90),)
    assert gpt.record.corpus.bytes == 1867 and gpt.record.corpus.train_fraction == 0.9


def test_it_is_compared_and_reported(run, capsys):
    assert main(["compare", LAST, LAST]) == 0
    assert f"A  {LOSS:.4f} nats per character" in capsys.readouterr().out
