"""Hugging Face's transformers: a folder with config.json, model.safetensors and tokenizer.json.

Rung 8 is a GPT2LMHeadModel. Any other rung comes with its own code, one file made of the ladder's.
"""

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gpt import __version__
from lightning_gpt.errors import UserError
from lightning_gpt.exchange import safetensors, tokenizer_json
from lightning_gpt.exchange.flattened import flattened
from lightning_gpt.exchange.gpt2 import HEAD, imported, named
from lightning_gpt.ladder import GPT
from lightning_gpt.model import TrainedGPT

CONFIG, TOKENIZER_CONFIG, CODE = "config.json", "tokenizer_config.json", "modeling_lightning_gpt"
TRANSPOSED = re.compile(r"\.(c_attn|c_proj|c_fc)\.weight$")  # layers whose matrix GPT-2 holds as (in, out)
USAGE = """
With `transformers` 5.3 or newer, and this folder's path for OUT:

```python
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast.from_pretrained("OUT")
model = AutoModelForCausalLM.from_pretrained("OUT"{trust})
ids = tokenizer({start!r}, return_tensors="pt").input_ids
written = model.generate(ids, max_new_tokens={length}, do_sample=True, temperature=0.8)
print(tokenizer.decode(written[0]))
```

A character that the network does not know is refused.
"""
OWN_CODE = f"""
`trust_remote_code` lets `{CODE}.py` run, which is in this folder: lightning-gpt's networks in one file. A text may be
longer than the network's block.
"""
NO_LONGER = """
`max_new_tokens` and the prompt must fit into {block} tokens together: GPT-2 knows no more positions.
"""
HEAD_OF_CODE = f"""The networks of lightning-gpt {__version__} for Hugging Face's transformers: made, not to be edited.

MIT licence, see lightning-gpt. The classes at the end are the ones that transformers calls.
"""


def write(gpt: TrainedGPT, folder: Path) -> str:
    """Writes the folder's files; returns how to use them.

    Raises:
        UserError: a library is missing, or the tokenizer can't be written.
    """
    network = gpt.network
    tokenizer_json.write(gpt.tokenizer, folder)
    _write_json(folder / TOKENIZER_CONFIG, {"tokenizer_class": "PreTrainedTokenizerFast"})
    start = gpt.tokenizer.clean("")
    if type(network) is GPT:
        config, weights = _gpt2_config(network), _gpt2_weights(network)
        usage = USAGE.format(trust="", start=start, length=max(1, network.block_size - 1))
        usage += NO_LONGER.format(block=network.block_size)
    else:
        config = _own_config(gpt)
        weights = {f"net.{name}": weight for name, weight in network.state_dict().items()}
        (folder / f"{CODE}.py").write_text(flattened("lightning_gpt.exchange.modeling", HEAD_OF_CODE), encoding="utf-8")
        usage = USAGE.format(trust=", trust_remote_code=True", start=start, length=500) + OWN_CODE
    _write_json(folder / CONFIG, config)
    safetensors.save(folder / safetensors.FILE, weights, {})
    return usage


def _write_json(path: Path, plain: dict[str, Any]) -> None:
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def _own_config(gpt: TrainedGPT) -> dict[str, Any]:
    """Describes a network that comes with its own code."""
    return {
        "architectures": ["LightningGPTForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{CODE}.LightningGPTConfig",
            "AutoModelForCausalLM": f"{CODE}.LightningGPTForCausalLM",
        },
        "model_type": "lightning_gpt",
        "network": type(gpt.network).__name__,
        "sizes": gpt.network.sizes,
        "dtype": "float32",
    }


# ------------------------------------------------------------------------------------------------- rung 8 as GPT-2

# what a GPT2Config must say for rung 8 to compute the same; it also is what GPT2Config says where it is silent
ONLY = {
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
TANH_GELU = {"gelu": False, "gelu_new": True, "gelu_pytorch_tanh": True, "gelu_fast": True}  # one function, three names
SIZES = {
    "vocab_size": "vocab_size",
    "block_size": "n_positions",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "n_embd",
}


def _gpt2_config(network: GPT) -> dict[str, Any]:
    dropout = network.config.dropout
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        **{theirs: network.sizes[ours] for ours, theirs in SIZES.items()},
        "activation_function": "gelu_pytorch_tanh" if network.config.tanh_gelu else "gelu",
        "resid_pdrop": dropout,
        "embd_pdrop": dropout,
        "attn_pdrop": dropout,
        **ONLY,
        "bos_token_id": None,
        "eos_token_id": None,
        "bias": network.config.bias,  # ours: false says that the biases are zero because there are none
        "dtype": "float32",
    }


def _gpt2_weights(network: GPT) -> dict[str, Tensor]:
    weights = {name: weight.T if TRANSPOSED.search(name) else weight for name, weight in named(network).items()}
    for name, weight in list(weights.items()):
        if not network.config.bias and weight.ndim and not name.endswith(("wte.weight", "wpe.weight")):
            weights.setdefault(name.replace(".weight", ".bias"), weight.new_zeros(weight.shape[-1]))
    return weights


def read(folder: Path) -> TrainedGPT:
    """Reads a folder of GPT-2 as rung 8: config.json, model.safetensors, tokenizer.json.

    Raises:
        UserError: a file is missing or damaged, or it is a network that rung 8 is not.
    """
    path = folder / CONFIG
    config = tokenizer_json.read_json(path)
    if config.get("model_type") != "gpt2":
        raise UserError(f"{path}: a model of type {str(config.get('model_type'))[:40]!r} can't be imported, only gpt2")
    activation = str(config.get("activation_function", "gelu_new"))
    if activation not in TANH_GELU:
        raise UserError(f"{path}: the activation function {activation[:40]!r} can't be imported, rung 8 has gelu")
    for name, value in ONLY.items():
        if config.get(name, value) != value:
            raise UserError(f"{path}: {name} {str(config[name])[:40]} can't be imported, rung 8 has {value}")
    sizes: dict[str, Any] = {ours: config.get(theirs) for ours, theirs in SIZES.items()}
    for name, size in sizes.items():
        if type(size) is not int:
            raise UserError(f"{path} is damaged: {SIZES[name]} is no whole number")
    if config.get("n_inner") not in (None, 4 * sizes["n_embd"]):
        raise UserError(f"{path}: n_inner {str(config['n_inner'])[:40]} can't be imported, rung 8 has 4 n_embd")
    if "quantization_config" in config:
        raise UserError(f"{path}: a quantized network can't be imported")
    sizes["tanh_gelu"] = TANH_GELU[activation]
    dropout = config.get("resid_pdrop", 0.1)
    sizes["dropout"] = float(dropout) if type(dropout) in (int, float) else 0.0
    tokenizer = tokenizer_json.read(folder / tokenizer_json.FILE)
    weights = _read_weights(folder)
    biases = {name for name in weights if name.endswith(".bias")}
    sizes["bias"] = config.get("bias") is not False or any(bool(weights[name].any()) for name in biases)
    if not sizes["bias"]:
        weights = {name: weight for name, weight in weights.items() if name not in biases}
    return imported(weights, sizes, tokenizer, 0, folder)


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Reads the weights, by nanoGPT's names and in its directions."""
    path = folder / safetensors.FILE
    if not path.is_file():
        raise UserError(f"{folder} has no {path.name}: weights in several files, or pickled ones, are not imported")
    weights = {}
    for name, weight in safetensors.load(path)[0].items():
        full = name if name == HEAD or name.startswith("transformer.") else f"transformer.{name}"
        if re.fullmatch(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)", full):
            continue  # a buffer: the causal mask
        weights[full] = weight.T if TRANSPOSED.search(full) and isinstance(weight, torch.Tensor) else weight
    return weights
