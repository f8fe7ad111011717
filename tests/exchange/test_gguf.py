"""A GGUF file holds rung 8: its tensors compute the network's logits, its filler is never drawn, llama.cpp reads it."""

import numpy as np
import pytest
import torch
from networks import CHARACTERS, EXTRA, IDS, trained_gpt
from torch.nn import functional as F

from lightning_gpt import UserError
from lightning_gpt.exchange import export

gguf = pytest.importorskip("gguf", reason=EXTRA)

V = len(CHARACTERS)
of_both = pytest.mark.parametrize("bias", [False, True])


def exported(folder, **sizes):
    gpt = trained_gpt("GPT", **sizes)
    export(gpt, "gguf", folder / "out")
    return gpt, gguf.GGUFReader(folder / "out" / "model.gguf")


def gpt2(tensors, heads, ids):
    """llama.cpp's graph of architecture gpt2, but with exact GELU."""
    w = {tensor.name: torch.from_numpy(np.array(tensor.data)) for tensor in tensors}
    layers = sum(name.endswith("attn_qkv.weight") for name in w)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)

    x = w["token_embd.weight"][ids] + w["position_embd.weight"][: ids.shape[1]]
    for i in range(layers):
        q, k, v = linear(norm(x, f"blk.{i}.attn_norm"), f"blk.{i}.attn_qkv").chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + linear(y, f"blk.{i}.attn_output")
        x = x + linear(F.gelu(linear(norm(x, f"blk.{i}.ffn_norm"), f"blk.{i}.ffn_up")), f"blk.{i}.ffn_down")
    return F.linear(norm(x, "output_norm"), w["output.weight"])


@of_both
def test_its_tensors_compute_the_logits_and_a_filler_that_can_not_be_drawn(bias, tmp_path):
    gpt, reader = exported(tmp_path, bias=bias)
    logits = gpt2(reader.tensors, gpt.network.config.n_head, IDS)
    torch.testing.assert_close(logits[..., :V], gpt.network(IDS), atol=1e-5, rtol=0)
    assert logits.shape[-1] == V + 1
    assert (logits.softmax(-1)[..., V] == 0).all() and (logits[..., V] < -9000).all()


def test_its_tokens_are_the_characters(tmp_path):
    _, reader = exported(tmp_path)
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    kinds = reader.get_field("tokenizer.ggml.token_type").contents()
    assert "".join(tokens[:V]) == CHARACTERS.characters
    assert kinds == [gguf.TokenType.USER_DEFINED] * V + [gguf.TokenType.CONTROL]
    assert all(reader.get_field(f"tokenizer.ggml.{end}_token_id").contents() == V for end in ("bos", "eos"))


def test_its_sizes_are_the_networks(tmp_path):
    gpt, reader = exported(tmp_path, n_layer=3)
    config = gpt.network.config
    fields = {"context_length": config.block_size, "embedding_length": config.n_embd, "block_count": 3}
    for name, value in fields.items():
        assert reader.get_field(f"gpt2.{name}").contents() == value


def test_another_rung_is_refused(tmp_path):
    with pytest.raises(UserError, match="gguf holds rung 8"):
        export(trained_gpt("Ensemble"), "gguf", tmp_path / "out")


@pytest.mark.slow
@of_both
def test_llama_cpp_reads_it(bias, tmp_path):
    llama = pytest.importorskip("xllamacpp", reason="make test-slow installs it")
    gpt, _ = exported(tmp_path, block_size=64, bias=bias)
    options = llama.CommonParams()
    options.model.path = str(tmp_path / "out" / "model.gguf")
    options.n_ctx = 64
    options.n_parallel = 1
    options.cpuparams.n_threads = 1
    options.warmup = False
    server = llama.Server(options)

    def complete(prompt, number, **more):
        return server.handle_completions({"prompt": prompt, "n_predict": number, **more})

    prompt = "ab\r\n\té😀h\u0301 b"
    done = complete(prompt, 40, temperature=0, logprobs=V + 1)
    assert done["usage"]["prompt_tokens"] == len(prompt)
    text = done["choices"][0]["text"]
    for i, step in enumerate(done["choices"][0]["logprobs"]["content"]):
        with torch.no_grad():
            own = gpt.network(CHARACTERS.encode(prompt + text[:i])[None])[0, -1].log_softmax(-1)
        theirs = {choice["id"]: choice["logprob"] for choice in step["top_logprobs"]}
        assert theirs.pop(V, -1e9) < -1000
        assert max(abs(own[token].item() - nats) for token, nats in theirs.items()) < 0.02  # GELU by tanh, in fp16
    hot = complete("ab", 60, temperature=100.0, top_k=0, top_p=1.0, min_p=0.0, seed=1)
    assert hot["choices"][0]["finish_reason"] == "length" and len(hot["choices"][0]["text"]) == 60
