"""An ONNX graph answers as the network does, and its runner writes the text that `generate` writes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import BLOCK, BY_NAME, CHARACTERS, EXTRA, IDS, POINTED, trained_gpt

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


def check(network, folder, **sizes):
    """All that is promised of a rung."""
    gpt = trained_gpt(network, **sizes)
    export(gpt, "onnx", folder)
    with torch.no_grad():
        np.testing.assert_allclose(read_on(folder, IDS[0].tolist()), gpt.network(IDS[:1])[0], atol=CLOSE)
    greedy, own = texts(gpt, folder, temperature=0.0)  # 500 characters, in blocks of 8
    assert greedy == own and len(greedy) == 500
    sampled, own = texts(gpt, folder, temperature=0.9, top_k=12, top_p=0.95, seed=7)
    assert sampled == own
    whole, own = texts(gpt, folder, prompt="a" * (BLOCK + 3), number=20, temperature=1.0, seed=2**40 + 1)
    assert whole == own


@pytest.mark.parametrize("sizes", [{}, POINTED], ids=["", "pointed"])
def test_rung_9_with_its_cache(sizes, tmp_path):
    check("ModernGPT", tmp_path / "out", **sizes)


def test_a_cache_holds_the_ids_that_a_pointer_copies_as_ids(tmp_path):
    export(trained_gpt("ModernGPT", n_layer=1, **POINTED), "onnx", tmp_path / "out")
    reader = onnx_runner.Reader(tmp_path / "out" / "model.onnx")
    reader.logits(IDS[0, :3].tolist())
    assert reader.read[-1].dtype == np.int64 and reader.read[-1][0, :, 0].tolist() == IDS[0, :3].tolist()
    assert {x.dtype for x in reader.read[:-1]} == {np.dtype(np.float32)}


@pytest.mark.parametrize("network", ["GPT", "ModernGPT"])
def test_a_graph_takes_several_texts_and_several_tokens_after_a_past(network, tmp_path):
    import onnxruntime

    gpt = trained_gpt(network, n_layer=1, **(POINTED if network == "ModernGPT" else {}))
    export(gpt, "onnx", tmp_path / "out")
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    past = {
        x.name: np.zeros((3, *(n if isinstance(n, int) else 0 for n in x.shape[1:])), onnx_runner.DTYPES[x.type])
        for x in session.get_inputs()[1:]
    }
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
@pytest.mark.parametrize(
    ("network", "sizes"),
    [*((name, {}) for name in BY_NAME if name != "ModernGPT"), ("Ensemble", POINTED)],
    ids=lambda x: x if isinstance(x, str) else "pointed" if x else "",
)
def test_every_rung(network, sizes, tmp_path):
    check(network, tmp_path / "out", **sizes)


@pytest.mark.parametrize("seed", [0, 1337, 2**32 + 5, 2**63 - 1])
def test_the_runner_draws_the_numbers_that_generate_draws(seed):
    logits = torch.randn(len(CHARACTERS), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    twister = np.random.RandomState(seed % 2**32)
    for temperature, top_k, top_p in [(1.0, None, None), (0.5, 7, None), (2.0, None, 0.8), (1.0, 9, 0.9)] * 20:
        own = next_token(logits[None], Sampling(1, temperature, top_k, top_p), generator)
        assert onnx_runner.next_token(logits.numpy(), twister, temperature, top_k, top_p) == own.item()
