"""Rung 8 by the names of GPT-2's weights, which nanoGPT and Hugging Face share. Knows no file format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.ladder import GPT
from lightning_gpt.model import Origin, Record, TrainedGPT
from lightning_gpt.model.checkpoint import must_be_finite
from lightning_gpt.terminal import visible
from lightning_gpt.tokens import Tokenizer

PARTS = {  # of a weight's name: ours, GPT-2's
    "token_embedding": "wte",
    "position_embedding": "wpe",
    "blocks": "h",
    "norm1": "ln_1",
    "attention": "attn",
    "qkv": "c_attn",
    "norm2": "ln_2",
    "fc": "c_fc",
    "projection": "c_proj",
    "norm": "ln_f",
}
HEAD = "lm_head.weight"  # the embedding again
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def rung8(gpt: TrainedGPT, to: str) -> GPT:
    """Returns the network of a format that holds rung 8 only.

    Raises:
        UserError: it is another rung.
    """
    if type(gpt.network) is not GPT:
        raise UserError(
            f"{to} holds rung 8 (GPT), and this is a {type(gpt.network).__name__}: --to hf, onnx and safetensors hold "
            "every rung"
        )
    return gpt.network


def name_of(key: str) -> str:
    """Translates our name of a weight: `blocks.0.norm1.weight` to `transformer.h.0.ln_1.weight`."""
    return ".".join(["transformer", *(PARTS.get(part, part) for part in key.split("."))])


def named(network: GPT) -> dict[str, Tensor]:
    """Lists the weights by GPT-2's names, the head left out: it is the embedding."""
    return {name_of(key): weight.detach().contiguous() for key, weight in network.state_dict().items()}


def imported(
    weights: Mapping[str, Any], sizes: dict[str, Any], tokenizer: Tokenizer, steps: int, path: Path
) -> TrainedGPT:
    """Makes rung 8 of weights by GPT-2's names.

    Args:
        weights: by name, without the head where that is the embedding; nothing of them is trusted.
        sizes: of the network.
        tokenizer: its own.
        steps: of the optimizer, as far as they are known.
        path: where all that comes from.

    Raises:
        UserError: the sizes are none, a weight is missing, left over, of another shape, no float, NaN or infinite.
    """
    try:
        if sizes["n_layer"] > len(weights):  # before a loop over a billion layers
            raise ValueError(f"it can't have {sizes['n_layer']} layers")
        with torch.device("meta"):
            network = GPT(**sizes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is damaged: {visible(' '.join(str(error).split()))[:120]}") from error
    if network.vocab_size != len(tokenizer):
        raise UserError(
            f"{path} holds a network of {network.vocab_size} tokens, and its tokenizer has {len(tokenizer)}: it is "
            "another's"
        )
    expected = {name_of(key): (key, weight) for key, weight in network.state_dict().items()}
    found = dict(weights)
    head = found.pop(HEAD, None)
    problems = [f"it lacks the weight {name}" for name in expected if name not in found]
    problems += [f"the weight {visible(str(name))} is not known" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        weight, shape = found[name], tuple(expected[name][1].shape)
        if not isinstance(weight, Tensor) or weight.layout != torch.strided or weight.dtype not in FLOATS:
            kind = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
            problems.append(f"the weight {name} is of type {kind}, not float32, float16 or bfloat16")
        elif tuple(weight.shape) != shape:
            problems.append(f"the weight {name} has the shape {tuple(weight.shape)}, not {shape}")
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{path} is not a GPT-2 that can be imported: {problems[0]}{more}")
    must_be_finite(found, path)
    embedding = found[name_of("token_embedding.weight")]
    if head is not None and not (isinstance(head, Tensor) and torch.equal(head, embedding)):
        raise UserError(f"{path} can't be imported: its head ({HEAD}) is not its embedding, as rung 8's is")
    record = Record("GPT", network.sizes, tokenizer, None, (Origin("imported", None, None, steps),))
    state = {key: found[name].detach().float().contiguous() for name, (key, _) in expected.items()}
    network.load_state_dict(state, assign=True)
    return TrainedGPT(network.eval(), tokenizer, record)
