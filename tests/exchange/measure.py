"""Prints docs/exchange.md's table: exports checkpoints in every format that holds them, and compares what each answers.

python tests/exchange/measure.py CHECKPOINT…    needs make setup-export; with xllamacpp, llama.cpp is measured, too
"""

import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from lightning_gpt import UserError, load
from lightning_gpt.exchange import FORMATS, export, onnx_runner, read

WRITTEN = 500  # characters, greedily


def own_answers(gpt, ids, number):
    with torch.no_grad():
        return gpt.network(ids[None])[0].numpy(), gpt.generate("\n", number, temperature=0)


def by_import(folder, file, ids):
    gpt = read(folder / file)
    return own_answers(gpt, ids, WRITTEN)


def by_transformers(gpt, folder, ids):
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    number = gpt.network.block_size - 1 if model.config.model_type == "gpt2" else WRITTEN
    with torch.no_grad():
        logits = model(ids[None]).logits[0].numpy()
    prompt = tokenizer("\n", return_tensors="pt").input_ids
    return logits, tokenizer.decode(model.generate(prompt, max_new_tokens=number, do_sample=False)[0])[1:]


def by_onnxruntime(gpt, folder, ids):
    def reader():
        return onnx_runner.Reader(folder / "model.onnx")

    first = reader()
    logits = np.stack([first.logits(ids[: end + 1].tolist()) for end in range(len(ids))])
    text = onnx_runner.write(reader(), gpt.tokenizer.encode("\n").tolist(), WRITTEN, temperature=0)
    return logits, gpt.tokenizer.decode(text)


def by_llama(gpt, folder, ids):
    """Log-probabilities, of which those of the eight likeliest tokens are compared: llama.cpp tells no logits."""
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = str(folder / "model.gguf")
    options.n_ctx, options.n_parallel, options.warmup = gpt.network.block_size, 1, False
    server = xllamacpp.Server(options)
    number = gpt.network.block_size - 1
    done = server.handle_completions({"prompt": "\n", "n_predict": number, "temperature": 0, "logprobs": 8})
    choice = done["choices"][0]
    own = torch.from_numpy(own_answers(gpt, gpt.tokenizer.encode("\n" + choice["text"][:-1]), 1)[0]).log_softmax(-1)
    worst = max(
        abs(own[i, top["id"]].item() - top["logprob"])
        for i, step in enumerate(choice["logprobs"]["content"])
        for top in step["top_logprobs"]
    )
    return worst, choice["text"]


ANSWERS = {
    "hf": by_transformers,
    "safetensors": lambda gpt, folder, ids: by_import(folder, "model.safetensors", ids),
    "onnx": by_onnxruntime,
    "gguf": by_llama,
    "nanogpt": lambda gpt, folder, ids: by_import(folder, "ckpt.pt", ids),
}


def main(paths):
    print("| format | network | largest difference | greedy text | bytes | s to write |")
    print("|---|---|---|---|---|---|")
    for to in FORMATS:
        for path in paths:
            gpt = load(path)
            ids = torch.randint(
                len(gpt.tokenizer), (gpt.network.block_size,), generator=torch.Generator().manual_seed(0)
            )
            with tempfile.TemporaryDirectory() as name:
                folder, begun = Path(name) / "out", time.perf_counter()
                try:
                    files = export(gpt, to, folder)
                except UserError:
                    continue
                seconds = time.perf_counter() - begun
                size = sum(file.stat().st_size for file in files)
                if to == "gguf" and find_spec("xllamacpp") is None:
                    continue
                answer, text = ANSWERS[to](gpt, folder, ids)
                logits, own = own_answers(gpt, ids, len(text))
                worst = answer if isinstance(answer, float) else float(np.abs(answer - logits).max())
                same = next((i for i, (a, b) in enumerate(zip(text, own, strict=True)) if a != b), len(own))
                said = f"equal, {len(own)} characters" if text == own else f"equal for {same} of {len(own)} characters"
                print(f"| {to} | {type(gpt.network).__name__} | {worst:.1e} | {said} | {size:,} | {seconds:.1f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
