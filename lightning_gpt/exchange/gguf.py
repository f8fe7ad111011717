"""GGUF, llama.cpp's file: rung 8 as its architecture gpt2, the characters as tokens of their own.

llama.cpp must have a token that ends a text, and rung 8 has none. So there is one more, which is never drawn: the final
norm's gain and bias are moved into the head, the norm then adds 1 to each channel, and since what it normalises sums to
0, the filler's row of -NEVER / C answers -NEVER whatever was read. The real tokens' logits stay what they were.

llama.cpp computes GELU by its tanh approximation, in half precision: logits differ in the third decimal.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gpt.errors import UserError
from lightning_gpt.exchange.gpt2 import rung8
from lightning_gpt.exchange.libraries import library
from lightning_gpt.ladder import GPT
from lightning_gpt.model import TrainedGPT
from lightning_gpt.tokens import Characters

FILE = "model.gguf"
FILLER = "<|endoftext|>"
NEVER = 10_000.0  # below any logit that a network has: exp(-10,000) is 0 in fp32
BLOCK_PARTS = {
    "norm1": "attn_norm",
    "attention.qkv": "attn_qkv",
    "attention.projection": "attn_output",
    "norm2": "ffn_norm",
    "mlp.fc": "ffn_up",
    "mlp.projection": "ffn_down",
}
USAGE = f"""
With a build of llama.cpp, in this folder:

```
llama-completion -m {FILE} -no-cnv -p "{{start}}" -e -n {{length}} --temp 0.8
```

The prompt and `-n` must fit into {{block}} tokens together. A character that the network does not know is left out.
"""


def write(gpt: TrainedGPT, folder: Path) -> str:
    """Writes model.gguf; returns how to use it.

    Raises:
        UserError: it is not rung 8, its tokens are no characters, or the library is missing.
    """
    network = rung8(gpt, "gguf")
    if not isinstance(gpt.tokenizer, Characters):
        raise UserError(f"gguf takes characters for tokens, and these are {gpt.tokenizer.kind}")
    gguf = library("gguf")
    config = network.config
    writer = gguf.GGUFWriter(folder / FILE, "gpt2")
    writer.add_name(gpt.record.corpus.name if gpt.record.corpus else "lightning-gpt")
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(4 * config.n_embd)
    writer.add_block_count(config.n_layer)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, gguf, gpt.tokenizer)
    for name, weight in tensors(network).items():
        writer.add_tensor(name, weight.float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    start = gpt.tokenizer.clean("").replace("\n", "\\n")
    return USAGE.format(start=start, length=max(1, config.block_size - 1), block=config.block_size)


def _add_tokenizer(writer: Any, gguf: Any, tokenizer: Characters) -> None:
    """Adds the characters, each of which llama.cpp looks for in a text as it stands, and the filler."""
    kinds, last = gguf.TokenType, len(tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokenizer.characters, FILLER])
    writer.add_token_types([kinds.USER_DEFINED] * last + [kinds.CONTROL])
    writer.add_token_merges(["a a"])  # llama.cpp wants some; nothing is ever left for it to merge
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(last)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def tensors(network: GPT) -> dict[str, Tensor]:
    """Lists the weights by GGUF's names, with the filler's rows, and zeros where rung 8 has no biases."""
    found: dict[str, Tensor] = {}
    weights = {key: weight.detach() for key, weight in network.state_dict().items()}
    for key, weight in weights.items():
        name, _, kind = key.rpartition(".")
        if name.startswith("blocks."):
            _, i, part = name.split(".", 2)
            found[f"blk.{i}.{BLOCK_PARTS[part]}.{kind}"] = weight
            found.setdefault(f"blk.{i}.{BLOCK_PARTS[part]}.bias", weight.new_zeros(weight.shape[0]))
    embedding = weights["token_embedding.weight"].float()  # (V, C)
    C = embedding.shape[1]
    gain, bias = weights["norm.weight"].float(), weights.get("norm.bias", torch.zeros(C)).float()
    head = embedding * gain  # logits = head · n + embedding · bias, n of mean 0
    head = head + ((embedding @ bias - head.sum(dim=1)) / C)[:, None]  # = this · (n + 1)
    found["token_embd.weight"] = torch.cat([embedding, embedding.new_zeros(1, C)])
    found["position_embd.weight"] = weights["position_embedding.weight"]
    found["output_norm.weight"], found["output_norm.bias"] = torch.ones(C), torch.ones(C)
    found["output.weight"] = torch.cat([head, torch.full((1, C), -NEVER / C)])
    return found
