"""nanoGPT's two files: what goes out comes back, and what comes in is what nanoGPT computes."""

import pickle
import re

import numpy as np
import pytest
import torch
from conftest import TEXT
from networks import CHARACTERS, IDS, trained_gpt
from torch.nn import functional as F

from lightning_gpt import UserError
from lightning_gpt.cli import main
from lightning_gpt.exchange import export, read
from lightning_gpt.tokens import Characters


def nanogpt(weights, sizes, ids):
    """nanoGPT's network, written from its description alone: pre-norm blocks, exact GELU, the embedding as the head."""
    w = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
    C, H, T = sizes["n_embd"], sizes["n_head"], ids.shape[1]

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def norm(x, name):
        return F.layer_norm(x, (C,), w[f"{name}.weight"], w.get(f"{name}.bias"), 1e-5)

    x = w["wte.weight"][ids] + w["wpe.weight"][:T]
    for i in range(sizes["n_layer"]):
        q, k, v = linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(C, dim=2)
        q, k, v = (t.view(*t.shape[:2], H, C // H).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape_as(x)
        x = x + linear(y, f"h.{i}.attn.c_proj")
        x = x + linear(F.gelu(linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc")), f"h.{i}.mlp.c_proj")
    return F.linear(norm(x, "ln_f"), w["lm_head.weight"])


def their_run(folder, text=TEXT, prefix="", bias=False, **changes):
    """Files as nanoGPT's prepare.py and train.py leave them: meta.pkl, ckpt.pt with compiled names and an optimizer."""
    characters = sorted(set(text))
    meta = {"vocab_size": len(characters), "itos": dict(enumerate(characters))}
    meta["stoi"] = {c: i for i, c in meta["itos"].items()}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    gpt = trained_gpt("GPT", Characters(text), bias=bias)
    export(gpt, "nanogpt", folder / "made")
    contents = torch.load(folder / "made" / "ckpt.pt", weights_only=True)
    contents["model"] = {prefix + name: weight for name, weight in contents["model"].items()}
    contents |= {"optimizer": {"state": {}}, "best_val_loss": torch.tensor(1.5), "iter_num": 250} | changes
    torch.save(contents, folder / "ckpt.pt")
    return gpt


@pytest.mark.parametrize("bias", [False, True])
def test_exported_weights_are_nanogpts_in_name_shape_and_value(bias, tmp_path):
    gpt = trained_gpt("GPT", bias=bias)
    export(gpt, "nanogpt", tmp_path / "out")
    contents = torch.load(tmp_path / "out" / "ckpt.pt", weights_only=True)
    assert torch.equal(nanogpt(contents["model"], contents["model_args"], IDS), gpt.network(IDS))
    assert set(contents["model_args"]) == {
        "n_layer", "n_head", "n_embd", "block_size", "bias", "vocab_size", "dropout",
    }  # fmt: skip
    meta = pickle.loads((tmp_path / "out" / "meta.pkl").read_bytes())
    assert "".join(meta["itos"][meta["stoi"][c]] for c in CHARACTERS.characters) == CHARACTERS.characters


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
def test_what_comes_in_computes_what_it_did(prefix, bias, tmp_path):
    gpt = their_run(tmp_path, prefix=prefix, bias=bias)
    back = read(tmp_path / "ckpt.pt")
    ids = gpt.tokenizer.encode(TEXT[:8])[None]
    assert torch.equal(back.network(ids), gpt.network(ids))
    assert back.network.sizes == gpt.network.sizes and back.tokenizer == gpt.tokenizer
    assert back.record.provenance[-1].steps == 250


def test_its_causal_masks_are_no_weights(tmp_path):
    their_run(tmp_path)
    contents = torch.load(tmp_path / "ckpt.pt", weights_only=True)
    contents["model"]["transformer.h.0.attn.bias"] = torch.ones(1, 1, 8, 8).tril()
    torch.save(contents, tmp_path / "ckpt.pt")
    assert read(tmp_path / "ckpt.pt").network.config.n_layer == 2


def test_an_imported_run_validates_to_the_loss_on_nanogpts_split_and_is_reported_on(shell, capsys, monkeypatch):
    monkeypatch.chdir(shell.folder)
    their_run(shell.folder)
    assert main(["import", "ckpt.pt", "--to=runs/theirs", "--corpus=text.txt"]) == 0
    contents = torch.load("ckpt.pt", weights_only=True)
    held_out = TEXT[int(len(TEXT) * 0.9) :]  # as prepare.py splits
    ids = Characters(TEXT).encode(held_out)
    nats = []
    for start in range(0, len(ids) - 1, 8):
        x, y = ids[start : start + 8], ids[start + 1 : start + 9]
        logits = nanogpt(contents["model"], contents["model_args"], x[: len(y)][None])[0]
        nats += F.cross_entropy(logits, y, reduction="none").tolist()
    capsys.readouterr()
    assert main(["validate", "--ckpt_path=best"]) == 0
    loss = float(re.search(r"val/loss\W+(\S+)", capsys.readouterr().out)[1])
    assert loss == pytest.approx(np.mean(nats), abs=1e-6)
    assert main(["generate", "--max_new_tokens=5"]) == 0 and main(["report"]) == 0


def test_a_text_of_other_characters_is_refused_for_it(shell, capsys, monkeypatch):
    monkeypatch.chdir(shell.folder)
    their_run(shell.folder)
    (shell.folder / "other.txt").write_text("xyz" * 40)
    assert main(["import", "ckpt.pt", "--to=runs/theirs", "--corpus=other.txt"]) == 2
    assert "characters that are not among the" in capsys.readouterr().err
    assert not (shell.folder / "runs").exists()


def test_another_rung_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nanogpt holds rung 8 .GPT., and this is a ModernGPT: --to hf"):
        export(trained_gpt("ModernGPT"), "nanogpt", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
