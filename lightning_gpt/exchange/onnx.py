"""ONNX: one graph for a prompt and for each token after it, with keys and values going in and coming out.

Inputs `ids` (B, T) and, for each tensor that the network's cache holds, `past.i`; outputs `logits` (B, T, V) and
`present.i`, which is `past.i` and what T tokens have added: floats, or ids as int64 where a pointer looks at what was
read. For a new text every past is empty: of length 0. Past and T together may not exceed block_size; how a longer text
is read: see `onnx_runner`, which is written beside the graph. A rung without a cache has ids and logits only.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_gpt.exchange import onnx_runner, tokenizer_json
from lightning_gpt.exchange.libraries import library
from lightning_gpt.ladder import Cache, CachedNetwork, Network
from lightning_gpt.model import TrainedGPT
from lightning_gpt.model.record import KEY
from lightning_gpt.terminal import quiet

FILE, RUNNER = "model.onnx", "run.py"
USAGE = f"""
`pip install numpy onnxruntime tokenizers`, then, in this folder:

```
python {RUNNER} --prompt "{{start}}" --max_new_tokens 500 --temperature 0.8 --seed 1337
```

writes what `lightning-gpt generate` writes with the same options, as far as rounding allows. `{RUNNER}` shows how the
cache is used, how a text longer than the network's block is read, how a token is drawn.
"""


def write(gpt: TrainedGPT, folder: Path) -> str:
    """Writes model.onnx, tokenizer.json and a program that runs them; returns how to use it.

    Raises:
        UserError: a library is missing.
    """
    for name in ("onnx", "onnxscript"):
        library(name)
    tokenizer_json.write(gpt.tokenizer, folder)
    program = graph(gpt.network)
    for node in program.model.graph:
        node.metadata_props.clear()  # where in which file of this machine it comes from
    program.model.metadata_props[KEY] = json.dumps(
        {"record": gpt.record.as_dict(), "block_size": gpt.network.block_size}
    )
    program.save(folder / FILE)
    (folder / RUNNER).write_text(Path(onnx_runner.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    return USAGE.format(start=gpt.tokenizer.clean("").replace("\n", "\\n"))


class GivenCache(Cache):
    """A cache that is given what was read, and changes nothing in place: as a graph needs it.

    Attributes:
        past: (..., P, D) each, in the order in which the layers ask for them.
        present: (..., P + T, D) each, as they have been filled.
    """

    def __init__(self, capacity: int, past: tuple[Tensor, ...]) -> None:
        super().__init__(capacity)
        self.past = iter(past)
        self.present: list[Tensor] = []
        self.length = past[0].shape[-2]

    def extend(self, layer: nn.Module, *new: Tensor) -> list[Tensor]:
        """See `Cache.extend`."""
        longer = [torch.cat([next(self.past), x], dim=-2) for x in new]
        self.present += longer
        return longer

    def member(self, network: nn.Module) -> "Cache":
        """Makes the cache of a member, which takes its turn in one order of all."""
        child = GivenCache.__new__(GivenCache)
        child.__dict__.update(vars(self))
        return child


class Recording(Cache):
    """A cache that notes which tensors it is asked to hold."""

    def __init__(self, capacity: int, noted: list[Tensor]) -> None:
        super().__init__(capacity)
        self.noted = noted

    def extend(self, layer: nn.Module, *new: Tensor) -> list[Tensor]:
        """See `Cache.extend`."""
        self.noted += new
        return super().extend(layer, *new)

    def member(self, network: nn.Module) -> "Cache":
        """See `Cache.member`."""
        return Recording(self.capacity, self.noted)


class Step(nn.Module):
    """A network as a function: ids (B, T) and what was read to logits (B, T, V) and what is read now."""

    def __init__(self, network: CachedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, past: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """See the class."""
        cache = GivenCache(self.network.block_size, past)
        return self.network.forward(ids, cache), *cache.present


def graph(network: Network) -> Any:
    """Traces a network, in eval mode, to torch's ONNXProgram: batch, tokens and past of any length."""
    batch, tokens, past = (torch.export.Dim(name) for name in ("batch", "tokens", "past"))
    ids = torch.zeros(2, min(3, network.block_size), dtype=torch.long)
    noted: list[Tensor] = []
    args: tuple[Any, ...] = (ids,)
    dynamic: dict[str, Any] = {"ids": {0: batch, 1: tokens}}
    module: nn.Module = network
    if isinstance(network, CachedNetwork):
        with torch.no_grad():
            network(ids, Recording(network.block_size, noted))
        args = (ids, tuple(x.new_zeros(*x.shape[:-2], 2, x.shape[-1]) for x in noted))
        dynamic["past"] = tuple({0: batch, x.ndim - 2: past} for x in noted)
        module = Step(network)
    numbers = range(len(noted))
    with warnings.catch_warnings(), quiet("torch.onnx", logging.ERROR):
        warnings.simplefilter("ignore")
        return torch.onnx.export(
            module.eval(),
            args,
            dynamo=True,
            verbose=False,
            dynamic_shapes=dynamic,
            input_names=["ids", *(f"past.{i}" for i in numbers)],
            output_names=["logits", *(f"present.{i}" for i in numbers)],
        )
