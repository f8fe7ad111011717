"""Foreign, damaged and hostile files: one line each, nothing is executed, no run is left."""

import json
import pickle

import pytest
import torch
from networks import EXTRA, trained_gpt

from lightning_gpt.cli import main
from lightning_gpt.exchange import export
from lightning_gpt.exchange.nanogpt import plain_pickle

safetensors = pytest.importorskip("safetensors.torch", reason=EXTRA)


class Payload:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return open, ("executed", "w")


def nanogpt(change=None, meta=None, **sizes):
    """A good export with one thing changed."""

    def make(folder):
        export(trained_gpt("GPT", **sizes), "nanogpt", folder / "x")
        contents = torch.load(folder / "x" / "ckpt.pt", weights_only=True)
        if change is not None:
            change(contents)
        torch.save(contents, folder / "x" / "ckpt.pt")
        if meta is not None:
            (folder / "x" / "meta.pkl").write_bytes(meta)
        return folder / "x" / "ckpt.pt"

    return make


def args(**values):
    return nanogpt(lambda contents: contents["model_args"].update(values))


def weight(name, value):
    return nanogpt(lambda contents: contents["model"].__setitem__(name, value))


def hugging_face(changes=None, tokenizer=None, weights=None, **sizes):
    """A good folder of GPT-2 with one thing changed."""

    def make(folder):
        export(trained_gpt("GPT", **sizes), "hf", folder / "x")
        path = folder / "x" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **(changes or {})}))
        if tokenizer is not None:
            path = folder / "x" / "tokenizer.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **tokenizer}))
        if weights is not None:
            path = folder / "x" / "model.safetensors"
            safetensors.save_file({**safetensors.load_file(path), **weights}, path)
        return folder / "x"

    return make


def file(name, contents):
    def make(folder):
        (folder / name).write_bytes(contents)
        return folder / name

    return make


def truncated(to, name):
    def make(folder):
        export(trained_gpt("GPT"), to, folder / "x")
        path = folder / "x" / name
        path.write_bytes(path.read_bytes()[:-100])
        return folder / "x" if to == "hf" else path

    return make


def without(name):
    def make(folder):
        export(trained_gpt("GPT"), "hf", folder / "x")
        (folder / "x" / name).unlink()
        return folder / "x"

    return make


def a_record(**changes):
    def make(folder):
        gpt = trained_gpt("GPT")
        record = {**gpt.record.as_dict(), **changes}
        path = folder / "x.safetensors"
        safetensors.save_file(gpt.network.state_dict(), path, {"lightning_gpt": json.dumps(record)})
        return path

    return make


BOMB = pickle.PROTO + b"\x04" + pickle.EMPTY_DICT + pickle.LONG_BINPUT + b"\xff\xff\xff\xff" + pickle.STOP
QKV = "transformer.h.0.attn.c_attn.weight"
NAN = torch.full((48, 16), float("nan"))
BAD = {
    "nothing there": (lambda folder: folder / "none.pt", "no file or folder at"),
    "an empty file": (file("ckpt.pt", b""), "is none of what can be imported"),
    "an empty folder": (lambda folder: folder, "has no config.json"),
    "a text": (file("ckpt.pt", b"hello"), "is none of what can be imported"),
    "a GGUF": (file("m.gguf", b"GGUF\x03\0\0\0"), "is none of what can be imported"),
    "a zip of nothing": (file("ckpt.pt", b"PK\x03\x04" + bytes(100)), "can't be read as a checkpoint"),
    "a pickle": (file("ckpt.pt", pickle.dumps(Payload())), "is none of what can be imported"),
    "nanogpt, truncated": (truncated("nanogpt", "ckpt.pt"), "can't be read as a checkpoint"),
    "nanogpt with code": (nanogpt(lambda c: c.update(x=Payload())), "can't be read as a checkpoint"),
    "nanogpt without weights": (nanogpt(lambda c: c.pop("model")), "it lacks model or model_args"),
    "nanogpt of other sizes": (args(n_embd=32), "has the shape"),
    "nanogpt of a billion layers": (args(n_layer=10**9), "can't have 1000000000 layers"),
    "nanogpt of a terabyte": (args(n_embd=2**40, n_head=2**10), "is damaged"),
    "nanogpt of no heads": (args(n_head=0), "n_head must be a whole number of at least 1"),
    "nanogpt of heads in words": (args(n_head="two"), "model_args.n_head is no whole number"),
    "nanogpt with experts": (args(n_expert=4), "model_args.'n_expert' is not known"),
    "nanogpt of a strange dropout": (args(dropout="much"), "can't be true"),
    "nanogpt with one more weight": (weight("transformer.h.0.mlp.gate.weight", torch.zeros(2)), "mlp.gate.weight is"),
    "nanogpt lacking one": (nanogpt(lambda c: c["model"].pop(QKV)), f"lacks the weight {QKV}"),
    "nanogpt of whole numbers": (weight(QKV, torch.zeros(48, 16, dtype=torch.int8)), "of type torch.int8"),
    "nanogpt of a word": (weight(QKV, "x"), "of type str"),
    "nanogpt of a sparse weight": (weight(QKV, torch.zeros(48, 16).to_sparse()), "is of type"),
    "nanogpt with NaN": (weight(QKV, NAN), f"NaN or infinite, in {QKV}"),
    "nanogpt with another head": (weight("lm_head.weight", torch.zeros(17, 16)), "its head .lm_head.weight. is not"),
    "meta.pkl with code": (nanogpt(meta=pickle.dumps({"itos": Payload()})), "has the instruction STACK_GLOBAL"),
    "meta.pkl, truncated": (nanogpt(meta=pickle.dumps({"itos": {0: "a"}})[:-2]), "can't be read as nanoGPT's meta.pkl"),
    "meta.pkl, empty": (nanogpt(meta=b""), "can't be read as nanoGPT's meta.pkl"),
    "meta.pkl that asks for memory": (nanogpt(meta=BOMB), "can't be read as nanoGPT's meta.pkl"),
    "meta.pkl of others": (nanogpt(meta=pickle.dumps({"itos": {0: "a", 1: "b"}})), "network of 17 tokens, and its tok"),
    "meta.pkl out of order": (nanogpt(meta=pickle.dumps({"itos": {0: "b", 1: "a"}})), "are not in order"),
    "meta.pkl of words": (nanogpt(meta=pickle.dumps({"itos": {0: "the"}})), "does not give each number a character"),
    "meta.pkl of lists": (nanogpt(meta=pickle.dumps({"itos": ["a"]})), "has the instruction EMPTY_LIST"),
    "safetensors, truncated": (truncated("safetensors", "model.safetensors"), "can't be read as safetensors"),
    "safetensors, empty": (file("x.safetensors", b""), "can't be read as safetensors"),
    "safetensors with an endless header": (file("x.safetensors", b"\xff" * 8 + b"{}"), "can't be read as safetensors"),
    "safetensors of a class": (a_record(network="builtins.open"), "its record of the network can't be read"),
    "safetensors of other sizes": (a_record(sizes={"vocab_size": 17, "block_size": 4}), "do not fit"),
    "safetensors of a later format": (a_record(format=99), "has checkpoint format 99"),
    "hf without a tokenizer": (without("tokenizer.json"), "has no tokenizer.json"),
    "hf without weights": (without("model.safetensors"), "has no model.safetensors"),
    "hf, truncated": (truncated("hf", "model.safetensors"), "can't be read as safetensors"),
    "hf, a config cut off": (truncated("hf", "config.json"), "config.json can't be read"),
    "hf of another architecture": (hugging_face({"model_type": "llama"}), "a model of type 'llama' can't be imported"),
    "hf of another activation": (hugging_face({"activation_function": "silu"}), "activation function 'silu' can't be"),
    "hf with another inner size": (hugging_face({"n_inner": 100}), "n_inner 100 can't be imported"),
    "hf with another norm": (hugging_face({"layer_norm_epsilon": 1e-3}), "layer_norm_epsilon 0.001 can't be imported"),
    "hf with a head of its own": (hugging_face({"tie_word_embeddings": False}), "tie_word_embeddings False can't be"),
    "hf, quantized": (hugging_face({"quantization_config": {}}), "a quantized network can't be imported"),
    "hf of no width": (hugging_face({"n_embd": None, "n_inner": None}), "n_embd is no whole number"),
    "hf that lower-cases": (hugging_face(tokenizer={"normalizer": {"type": "Lowercase"}}), "a kind that can't be"),
    "hf of word pieces": (hugging_face(tokenizer={"model": {"type": "WordPiece", "vocab": {}}}), "WordPiece"),
    "hf of no vocabulary": (
        hugging_face(tokenizer={"model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": None}}), "is damaged",
    ),
    "hf with NaN": (hugging_face(weights={QKV: NAN.T.contiguous()}), f"NaN or infinite, in {QKV}"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_in_one_line(name, tmp_path, capsys, monkeypatch):
    make, says = BAD[name]
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "theirs"
    folder.mkdir()
    path = make(folder)
    capsys.readouterr()
    assert main(["import", str(path), "--to=runs/theirs"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Traceback" not in err
    assert says.replace(".lm_head.weight.", "(lm_head.weight)") in err, err
    assert not (tmp_path / "executed").exists() and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_plain_pickle_of_any_protocol_is_read(protocol):
    meta = {"vocab_size": 300, "itos": {i: chr(i) for i in range(300)}, "stoi": {chr(i): i for i in range(300)}}
    assert plain_pickle(pickle.dumps(meta, protocol)) == meta
