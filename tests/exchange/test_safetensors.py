"""safetensors: every rung goes out and comes back as it was, its record with it."""

import dataclasses

import pytest
import torch
from networks import BY_NAME, EXTRA, IDS, POINTED, trained_gpt

from lightning_gpt import UserError
from lightning_gpt.exchange import export, read
from lightning_gpt.model import CorpusRecord, Origin, TrainedGPT

safetensors = pytest.importorskip("safetensors.torch", reason=EXTRA)


@pytest.mark.parametrize(
    ("network", "sizes"),
    [*((name, {}) for name in BY_NAME), ("ModernGPT", POINTED), ("Ensemble", POINTED)],
    ids=lambda x: x if isinstance(x, str) else "pointed" if x else "",
)
def test_a_rung_comes_back_as_it_went(network, sizes, tmp_path):
    gpt = trained_gpt(network, **sizes)
    corpus = CorpusRecord("text.txt", "text.txt", "0" * 64, 100, 110, 100, 0.9)
    record = dataclasses.replace(gpt.record, corpus=corpus, provenance=(Origin("trained", "text.txt", "0" * 64, 7),))
    gpt = TrainedGPT(gpt.network, gpt.tokenizer, record)
    export(gpt, "safetensors", tmp_path / "out")
    back = read(tmp_path / "out" / "model.safetensors")
    assert torch.equal(back.network(IDS), gpt.network(IDS))
    assert back.record == record


def test_weights_by_themselves_are_refused(tmp_path):
    safetensors.save_file({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="no network and no tokenizer"):
        read(tmp_path / "bare.safetensors")


def test_others_can_read_the_weights_by_our_names(tmp_path):
    gpt = trained_gpt("GPT")
    export(gpt, "safetensors", tmp_path / "out")
    weights = safetensors.load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(weights[name], weight) for name, weight in gpt.network.state_dict().items())
