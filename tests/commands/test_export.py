"""export and import as they are typed."""

import json
import re

import pytest
import torch

from lightning_gpt.exchange import FORMATS


def test_a_checkpoint_goes_out_and_comes_in_again(trained, shell):
    pytest.importorskip("safetensors", reason="make setup-export installs it")
    out = shell.folder / "out"
    said = shell("export", out, "--to=safetensors", f"--ckpt_path={trained.best}").stdout
    assert f"{out / 'model.safetensors'}" in said
    shell("import", out / "model.safetensors", "--to=runs/back")
    best = shell.folder / "runs" / "back" / "version_0" / "checkpoints" / "best.ckpt"
    texts = [
        shell("generate", f"--ckpt_path={path}", "--prompt=Rough", "--max_new_tokens=20").stdout
        for path in (trained.best, best)
    ]
    assert texts[0] == texts[1]


def test_the_model_card_has_the_runs_numbers(trained, shell):
    shell("export", "out", "--to=nanogpt", f"--ckpt_path={trained.best}")
    card = (shell.folder / "out" / "README.md").read_text()
    best = json.loads((trained.run / "result.json").read_text())["best"]
    record = torch.load(trained.best, weights_only=True)["lightning_gpt"]
    assert f"{best['bits_per_byte']:.4f} bits per byte" in card
    assert record["corpus"]["sha256"] in card and f"{record['corpus']['bytes']:,} bytes" in card
    assert re.search(r"^license: ", card, re.M) and "n_layer 2" in card and "| trained | " in card


def test_a_checkpoint_by_itself_has_no_loss(trained, shell):
    (shell.folder / "moved.ckpt").write_bytes(trained.best.read_bytes())
    shell("export", "out", "--to=nanogpt", "--ckpt_path=moved.ckpt")
    assert "| held-out loss | not measured |" in (shell.folder / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["export", "out"], "--to"),
        (["export", "--to=hf"], "out"),
        (["export", "out", "--to=hf"], "no run below runs/"),
        (["import", "ckpt.pt"], "--to"),
        (["import", "ckpt.pt", "--to=runs/x"], "no file or folder at ckpt.pt"),
    ],
)
def test_what_is_missing_is_named(shell, args, says):
    assert says in shell(*args, status=2).stderr


def test_weights_that_are_nan_are_refused_with_their_name(trained, shell):
    contents = torch.load(trained.best, weights_only=True)
    contents["state_dict"]["net.blocks.1.mlp.fc.weight"][3, 4] = float("nan")
    torch.save(contents, shell.folder / "nan.ckpt")
    said = shell("export", "out", "--to=nanogpt", "--ckpt_path=nan.ckpt", status=2).stderr
    assert "NaN or infinite, in blocks.1.mlp.fc.weight" in said and not (shell.folder / "out").exists()


def test_the_help_names_every_format(shell):
    said = shell("export", "--help").stdout
    assert all(re.search(rf"\b{name}\b", said) for name in FORMATS)
