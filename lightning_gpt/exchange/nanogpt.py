"""nanoGPT: ckpt.pt with rung 8's weights, and meta.pkl with its characters, as its prepare.py writes them.

Neither file is unpickled: ckpt.pt is read as tensors and plain values, meta.pkl by a reader of its own.
"""

import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import torch

from lightning_gpt.errors import UserError
from lightning_gpt.exchange.gpt2 import HEAD, imported, named, rung8
from lightning_gpt.model import TrainedGPT, checkpoint
from lightning_gpt.tokens import Characters

FILE, META = "ckpt.pt", "meta.pkl"
LARGEST_META = 50_000_000  # bytes: all of Unicode takes half of that
SIZES = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias", "dropout")  # its model_args
USAGE = """
In a checkout of nanoGPT, with this folder's path for OUT:

```
mkdir -p data/{dataset} && cp OUT/meta.pkl data/{dataset}/
python sample.py --out_dir=OUT --device=cpu --start="{start}"
```

It holds no optimizer's state: nanoGPT's train.py can't resume from it.
"""

# -------------------------------------------------------------------------------------------------------------- to


def write(gpt: TrainedGPT, folder: Path) -> str:
    """Writes ckpt.pt and meta.pkl; returns how to use them.

    Raises:
        UserError: it is not rung 8, or its tokens are no characters.
    """
    network, tokenizer = rung8(gpt, "nanogpt"), gpt.tokenizer
    if not isinstance(tokenizer, Characters):
        raise UserError(f"nanogpt's meta.pkl holds characters, and these tokens are {tokenizer.kind}")
    if network.config.tanh_gelu:
        raise UserError("nanogpt has exact GELU, and this network was trained with tanh_gelu: --to hf holds it")
    corpus, steps = gpt.record.corpus, sum(origin.steps for origin in gpt.record.provenance)
    dataset = re.sub(r"\W+", "_", corpus.name.lower(), flags=re.ASCII).strip("_") if corpus else ""
    dataset = dataset or "text"
    weights = named(network)
    contents = {
        "model": {**weights, HEAD: weights["transformer.wte.weight"]},
        "model_args": {name: network.sizes[name] for name in SIZES},
        "iter_num": steps,
        "config": {"dataset": dataset},  # which names the folder of meta.pkl
    }
    torch.save(contents, folder / FILE)
    meta = {
        "vocab_size": len(tokenizer),
        "itos": dict(enumerate(tokenizer.characters)),
        "stoi": {character: i for i, character in enumerate(tokenizer.characters)},
    }
    (folder / META).write_bytes(pickle.dumps(meta, protocol=4))
    return USAGE.format(dataset=dataset, start=tokenizer.clean("").replace("\n", "\\n"))


# ------------------------------------------------------------------------------------------------------------ from


def read(path: Path, meta: Path | None = None) -> TrainedGPT:
    """Reads nanoGPT's ckpt.pt, and the meta.pkl beside it or at `meta`.

    Raises:
        UserError: one of them is missing, damaged, hostile, or holds what rung 8 can't be.
    """
    contents = checkpoint.read(path)
    weights, sizes, steps = contents.get("model"), contents.get("model_args"), contents.get("iter_num", 0)
    if not isinstance(weights, dict) or not isinstance(sizes, dict):
        raise UserError(f"{path} is not nanoGPT's: it lacks model or model_args")
    if unknown := [name for name in sizes if name not in SIZES]:
        raise UserError(f"{path} can't be imported: model_args.{str(unknown[0])[:40]!r} is not known")
    if lacks := [name for name in SIZES[:5] if type(sizes.get(name)) is not int]:
        raise UserError(f"{path} is damaged: model_args.{lacks[0]} is no whole number")
    bias, dropout = sizes.get("bias", True), sizes.get("dropout", 0.0)
    if type(bias) is not bool or type(dropout) not in (int, float):
        raise UserError(f"{path} is damaged: model_args.bias or model_args.dropout can't be true")
    steps = steps if type(steps) is int and 0 <= steps < 2**63 else 0
    clean = {str(name).removeprefix("_orig_mod."): weight for name, weight in weights.items()}
    masks = [name for name in clean if re.fullmatch(r"transformer\.h\.\d+\.attn\.bias", name)]
    for name in masks:  # a buffer: the causal mask of the slow attention
        del clean[name]
    tokenizer = read_meta(path.with_name(META) if meta is None else meta)
    return imported(clean, {**sizes, "bias": bias, "dropout": float(dropout)}, tokenizer, steps, path)


def read_meta(path: Path) -> Characters:
    """Reads the characters of a meta.pkl.

    Raises:
        UserError: no such file, or it holds anything but characters in the order of their code points.
    """
    try:
        with open(path, "rb") as file:
            contents = file.read(LARGEST_META + 1)
        if len(contents) > LARGEST_META:
            raise ValueError(f"it has more than {LARGEST_META // 1_000_000} MB")
        meta = plain_pickle(contents)
        if not isinstance(meta, dict) or not isinstance(itos := meta.get("itos"), dict):
            raise ValueError("it has no itos")
        characters = [itos.get(i) for i in range(len(itos))]
        if not all(isinstance(c, str) and len(c) == 1 for c in characters):
            raise ValueError("its itos does not give each number a character")
        return Characters.of_plain({"characters": "".join(str(c) for c in characters)})
    except FileNotFoundError as error:
        raise UserError(
            f"no {path}, which has the characters: name it, --meta data/shakespeare_char/meta.pkl"
        ) from error
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise UserError(f"{path} can't be read as nanoGPT's meta.pkl: {str(error)[:120]}") from error


def plain_pickle(data: bytes) -> Any:
    """Reads the pickle of a dictionary of numbers and texts; nothing is imported, made or called.

    A machine with a few of the instructions only: the rest are refused by name.

    Raises:
        ValueError, LookupError, TypeError: another instruction, or a damaged stream.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "EMPTY_DICT":
                stack.append({})
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BININT" | "BININT1" | "BININT2":
                stack.append(argument)
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                marks.append(len(stack))
            case "SETITEMS":
                start = marks.pop()
                stack[start - 1].update(zip(stack[start::2], stack[start + 1 :: 2], strict=True))
                del stack[start:]
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                stack[-1][key] = value
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"it has the instruction {other}, which a table of characters does not need")
    raise ValueError("it has no end")
