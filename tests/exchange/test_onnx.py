"""An ONNX graph answers as the network does, and its runner writes the text that `generate` writes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import BLOCK, BY_NAME, CHARACTERS, EXTRA, IDS, trained_gpt

from lightning_gpt.exchange import export, onnx_runner
from lightning_gpt.model import Sampling, next_token

for package in ("onnxruntime", "onnx", "onnxscript"):
    pytest.importorskip(package, reason=EXTRA)

CLOSE = 2e-5  # of logits around 1 to 10: fp32 in another order of summands


def read_on(folder, ids):
    """The runner's logits after each of ids, by its cache."""
    reader = onnx_runner.Reader(folder / "model.onnx")
    return np.stack([reader.logits(ids[: end + 1]) for end in range(len(ids))])


def texts(gpt, folder, prompt="ab", number=500, **options):
    reader = onnx_runner.Reader(folder / "model.onnx")
    written = onnx_runner.write(reader, gpt.tokenizer.encode(prompt).tolist(), number, **options)
    return gpt.tokenizer.decode(written), gpt.generate(prompt, number, **options)


def check(network, folder):
    """All that is promised of a rung."""
    gpt = trained_gpt(network)
    export(gpt, "onnx", folder)
    with torch.no_grad():
        np.testing.assert_allclose(read_on(folder, IDS[0].tolist()), gpt.network(IDS[:1])[0], atol=CLOSE)
    greedy, own = texts(gpt, folder, temperature=0.0)  # 500 characters, in blocks of 8
    assert greedy == own and len(greedy) == 500
    sampled, own = texts(gpt, folder, temperature=0.9, top_k=12, top_p=0.95, seed=7)
    assert sampled == own
    whole, own = texts(gpt, folder, prompt="a" * (BLOCK + 3), number=20, temperature=1.0, seed=2**40 + 1)
    assert whole == own


def test_rung_9_with_its_cache(tmp_path):
    check("ModernGPT", tmp_path / "out")


def test_a_graph_takes_several_texts_and_several_tokens_after_a_past(tmp_path):
    import onnxruntime

    gpt = trained_gpt("GPT", n_layer=1)
    export(gpt, "onnx", tmp_path / "out")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    heads, size = gpt.network.config.n_head, gpt.network.config.n_embd // gpt.network.config.n_head
    past = {f"past.{i}": np.zeros((3, heads, 0, size), np.float32) for i in range(2)}
    first, *present = session.run(None, {"ids": IDS[:, :3].numpy(), **past})
    past = {f"past.{i}": x for i, x in enumerate(present)}
    rest, *_ = session.run(None, {"ids": IDS[:, 3:].numpy(), **past})
    with torch.no_grad():
        np.testing.assert_allclose(np.concatenate([first, rest], axis=1), gpt.network(IDS), atol=CLOSE)
    here = str(Path(torch.__file__).parent).encode()
    assert here not in (tmp_path / "out" / "model.onnx").read_bytes()
    # and the program beside it runs by itself
    command = [
        sys.executable,
        "-I",
        "out/run.py",
        "--prompt=ab",
        "--max_new_tokens=30",
        "--temperature=0.7",
        "--seed=5",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode() == "ab" + gpt.generate("ab", 30, temperature=0.7, seed=5) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("network", [name for name in BY_NAME if name != "ModernGPT"])
def test_every_rung(network, tmp_path):
    check(network, tmp_path / "out")


@pytest.mark.parametrize("seed", [0, 1337, 2**32 + 5, 2**63 - 1])
def test_the_runner_draws_the_numbers_that_generate_draws(seed):
    logits = torch.randn(len(CHARACTERS), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    twister = np.random.RandomState(seed % 2**32)
    for temperature, top_k, top_p in [(1.0, None, None), (0.5, 7, None), (2.0, None, 0.8), (1.0, 9, 0.9)] * 20:
        own = next_token(logits[None], Sampling(1, temperature, top_k, top_p), generator)
        assert onnx_runner.next_token(logits.numpy(), twister, temperature, top_k, top_p) == own.item()
