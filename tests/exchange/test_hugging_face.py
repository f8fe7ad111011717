"""A folder for transformers answers as the network does, and reads and writes text as its tokenizer does."""

import pytest
import torch
from networks import BY_NAME, CHARACTERS, EXTRA, IDS, POINTED, trained_gpt

from lightning_gpt import UserError
from lightning_gpt.exchange import export, read
from lightning_gpt.tokens import BPE, Bytes

transformers = pytest.importorskip("transformers", reason=EXTRA)

TEXT = "ab\r\n\té😀h\u0301 b\r!"
RUNGS = [(name, {}) for name in BY_NAME if name != "GPT"] + [("GPT", {"bias": False}), ("GPT", {"bias": True})]
RUNGS += [("ModernGPT", POINTED), ("Ensemble", POINTED)]
of_every_rung = pytest.mark.parametrize(("network", "sizes"), RUNGS, ids=lambda x: x if isinstance(x, str) else "")


@pytest.fixture(autouse=True)
def _modules_in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Where transformers copies the code of a folder that comes with its own."""
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))


def exported(gpt, tmp_path):
    export(gpt, "hf", tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", trust_remote_code=True)
    return model.eval(), transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path / "out")


def written(model, tokenizer, prompt, number, **options):
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    torch.manual_seed(3)
    return tokenizer.decode(model.generate(ids, max_new_tokens=number, **options)[0]).removeprefix(prompt)


@of_every_rung
def test_logits_and_greedy_text_are_the_networks_own(network, sizes, tmp_path):
    gpt = trained_gpt(network, **sizes)
    model, tokenizer = exported(gpt, tmp_path)
    assert torch.equal(model(IDS).logits, gpt.network(IDS))
    number = 6 if network == "GPT" else 30  # GPT-2 of transformers knows no more positions than a block's
    for cached in (True, False):
        own = gpt.generate("ab", number, temperature=0, cached=cached)
        assert written(model, tokenizer, "ab", number, do_sample=False, use_cache=cached) == own


@pytest.mark.parametrize("network", ["GPT", "ModernGPT", "Ensemble"])
def test_sampled_text_is_the_same_with_and_without_a_cache(network, tmp_path):
    model, tokenizer = exported(trained_gpt(network), tmp_path)
    with_cache, without = (
        written(model, tokenizer, "ab", 6, do_sample=True, use_cache=cached) for cached in (True, False)
    )
    assert with_cache == without and len(with_cache) == 6


@pytest.mark.parametrize("sizes", [{}, POINTED], ids=["", "pointed"])
def test_a_cache_is_read_with_and_several_tokens_can_follow_it(sizes, tmp_path):
    gpt = trained_gpt("ModernGPT", **sizes)
    model, _ = exported(gpt, tmp_path)
    first = model(IDS[:, :3], use_cache=True)
    cache = getattr(first, "cache", None) or first.past_key_values
    rest = model(IDS[:, 3:], cache)
    torch.testing.assert_close(torch.cat([first.logits, rest.logits], dim=1), gpt.network(IDS))


def test_what_a_model_with_its_own_code_does_not_know_is_an_error(tmp_path):
    """Else an argument that transformers calls by another name one day would be lost, and the text be wrong."""
    model, _ = exported(trained_gpt("ModernGPT"), tmp_path)
    with pytest.raises(TypeError, match="key_values"):
        model(IDS, key_values=None)
    with pytest.raises(ValueError, match="9 tokens do not fit into a block of 8"):
        model(torch.cat([IDS, IDS[:, :1]], dim=1))
    mask = torch.ones_like(IDS)
    mask[0, 0] = 0
    with pytest.raises(ValueError, match="padding"):
        model(IDS, attention_mask=mask)


def test_a_model_with_its_own_code_can_be_trained(tmp_path):
    model, _ = exported(trained_gpt("ModernGPT"), tmp_path)
    loss = model(IDS, labels=IDS).loss
    loss.backward()
    assert all(p.grad is not None for p in model.parameters()) and loss.item() > 0


def test_the_tokenizer_gives_the_same_ids_and_the_text_back(tmp_path):
    _, tokenizer = exported(trained_gpt("GPT"), tmp_path)
    ids = tokenizer(TEXT).input_ids
    assert ids == CHARACTERS.encode(TEXT).tolist()
    assert tokenizer.decode(ids) == TEXT and len(tokenizer) == len(CHARACTERS)


BYTE_LEVEL = [Bytes(), BPE.learn(lambda: iter([TEXT * 9]), 270)]


@pytest.mark.parametrize("tokens", BYTE_LEVEL, ids=lambda tokens: tokens.kind)
def test_bytes_and_bpe_go_out_with_their_ids_and_their_text(tokens, tmp_path):
    gpt = trained_gpt("GPT", tokens, 64)
    model, tokenizer = exported(gpt, tmp_path)
    ids = tokens.encode(TEXT)
    assert tokenizer(TEXT).input_ids == ids.tolist() and tokenizer.decode(ids.tolist()) == TEXT
    assert torch.equal(model(ids[None]).logits, gpt.network(ids[None]))


def test_a_gpt2_with_bpe_of_others_comes_in(tmp_path):
    bpe = BYTE_LEVEL[1]
    torch.manual_seed(0)
    sizes = {"vocab_size": len(bpe), "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes)).eval()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(bpe.as_json())
    transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json")).save_pretrained(tmp_path)
    gpt = read(tmp_path)
    ids = bpe.encode("ab h")[None]
    torch.testing.assert_close(gpt.network(ids), theirs(ids).logits)
    assert gpt.tokenizer == bpe and gpt.generate("ab", 5, temperature=0)


def test_an_unknown_character_is_refused(tmp_path):
    _, tokenizer = exported(trained_gpt("GPT"), tmp_path)
    with pytest.raises(Exception, match="UNK"):
        tokenizer("abZ")


@pytest.mark.parametrize("bias", [True, False])
def test_rung_8_comes_back_as_it_went(bias, tmp_path):
    gpt = trained_gpt("GPT", bias=bias)
    export(gpt, "hf", tmp_path / "out")
    back = read(tmp_path / "out")
    assert torch.equal(back.network(IDS), gpt.network(IDS))
    assert back.network.sizes == gpt.network.sizes and back.tokenizer == gpt.tokenizer
    assert back.record.provenance[-1].how == "imported"


def test_another_rung_is_not_imported_and_its_code_is_not_run(tmp_path):
    export(trained_gpt("ModernGPT"), "hf", tmp_path / "out")
    (tmp_path / "out" / "modeling_lightning_gpt.py").write_text("raise SystemExit")
    with pytest.raises(UserError, match="'lightning_gpt' can't be imported, only gpt2"):
        read(tmp_path / "out")


# ----------------------------------------------------------------------------------------- GPT-2 of others comes in


def their_gpt2(folder, *, prefixed=True, dtype=torch.float32, **options):
    """A GPT-2 as transformers makes and saves it, with every weight moved and a tokenizer of characters."""
    sizes = {"vocab_size": len(CHARACTERS), "n_positions": 8, "n_embd": 16, "n_layer": 2, "n_head": 2}
    torch.manual_seed(0)
    kind = transformers.GPT2LMHeadModel if prefixed else transformers.GPT2Model
    model = kind(transformers.GPT2Config(**sizes, **options)).eval()
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    model.to(dtype).save_pretrained(folder)
    export(trained_gpt("GPT"), "hf", folder / "x")
    (folder / "x" / "tokenizer.json").rename(folder / "tokenizer.json")
    return model.float()


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh"])
def test_gpt2_comes_in(activation, tmp_path):
    model = their_gpt2(tmp_path, activation_function=activation)
    gpt = read(tmp_path)
    # gelu_new is the same function with its sums in another order
    torch.testing.assert_close(gpt.network(IDS), model(IDS).logits, atol=1e-5 * (activation == "gelu_new"), rtol=0)
    assert gpt.network.config.bias and gpt.network.config.dropout == 0.1
    assert gpt.network.config.tanh_gelu == (activation != "gelu")


def test_gpt2_goes_out_again(tmp_path):
    model = their_gpt2(tmp_path, activation_function="gelu_pytorch_tanh")
    again, _ = exported(read(tmp_path), tmp_path / "again")
    assert torch.equal(again(IDS).logits, model(IDS).logits)


def test_gpt2_without_its_head_and_in_half_precision_comes_in(tmp_path):
    model = their_gpt2(tmp_path, prefixed=False, dtype=torch.bfloat16)
    logits = model(IDS).last_hidden_state @ model.wte.weight.T
    torch.testing.assert_close(read(tmp_path).network(IDS), logits, atol=1e-5, rtol=0)


def test_an_imported_gpt2_writes(tmp_path, shell):
    their_gpt2(tmp_path / "theirs")
    shell("import", tmp_path / "theirs", "--to=runs/gpt2")
    assert len(shell("generate", "--max_new_tokens=20", "--prompt=ab").stdout) == 23
