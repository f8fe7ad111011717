"""A plain PyTorch loop of nanoGPT's recipes: what a careful script does without Lightning, to be measured against.

Same network (rung 8), batch, optimizer, schedule and number of steps as configs/nanogpt-cpu.yaml and, on a GPU,
configs/nanogpt-gpu.yaml, there compiled and in bf16; every 250 steps an estimate of both losses over random batches and
a checkpoint, as those recipes have it; at the end the exact loss, on a GPU the last estimate. Runs as a program of its
own: `python -m lightning_gpt.benchmark.plain`; the last line it prints is JSON.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.ladder import GPT
from lightning_gpt.lecture import exact_loss, loss_of
from lightning_gpt.text import find_corpus, prepare

WARMUP, EVERY = 100, 250


@dataclass(frozen=True)
class Recipe:
    """What nanoGPT's two recipes differ in."""

    device: str
    block_size: int
    batch_size: int
    n_layer: int
    n_head: int
    n_embd: int
    dropout: float
    steps: int
    batches: int  # of an estimate


CPU = Recipe("cpu", 64, 12, 4, 4, 128, 0.0, 2000, 20)
GPU = Recipe("cuda", 256, 64, 6, 6, 384, 0.2, 5000, 200)


def random_batch(ids: np.ndarray, recipe: Recipe = CPU) -> tuple[Tensor, Tensor]:
    """Draws x, y (B, T) at random offsets."""
    T = recipe.block_size
    starts = torch.randint(len(ids) - T, (recipe.batch_size,))
    x = torch.stack([torch.from_numpy(ids[i : i + T].astype(np.int64)) for i in starts])
    y = torch.stack([torch.from_numpy(ids[i + 1 : i + 1 + T].astype(np.int64)) for i in starts])
    if recipe.device == "cpu":
        return x, y
    return x.pin_memory().to(recipe.device, non_blocking=True), y.pin_memory().to(recipe.device, non_blocking=True)


@torch.no_grad()
def estimated_losses(net: GPT, recipe: Recipe, *splits: np.ndarray) -> list[float]:
    """Estimates the loss of each split by random batches, in nats per character."""
    net.eval()
    losses = []
    for ids in splits:
        with torch.autocast(recipe.device, torch.bfloat16, recipe.device != "cpu"):
            nats = [loss_of(net, *random_batch(ids, recipe)).item() for _ in range(recipe.batches)]
        losses.append(sum(nats) / len(nats))
    net.train()
    return losses


def learning_rate(step: int, steps: int, full: float = 1e-3) -> float:
    """Computes the learning rate: linear warm-up, then a cosine down to a tenth."""
    if step < WARMUP:
        return full * (step + 1) / (WARMUP + 1)
    progress = (step - WARMUP) / max(1, steps - WARMUP)
    return full * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def main() -> None:
    """Trains; prints seconds per step and the loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--bare", action="store_true", help="steps only: no losses but the training one, no checkpoint")
    parser.add_argument("--gpu", action="store_true", help="the recipe for a GPU, compiled and in bf16")
    parser.add_argument("--loss", type=float, default=-math.inf, help="end once the estimate of val is not above it")
    args = parser.parse_args()
    recipe = GPU if args.gpu else CPU
    steps = args.steps or recipe.steps

    torch.manual_seed(1337)
    tokens = prepare(find_corpus("tinyshakespeare", args.data_dir), Path(args.data_dir) / "prepared")
    n = int(0.9 * len(tokens.ids))
    train, val = tokens.ids[:n], tokens.ids[n:]
    sizes = {name: getattr(recipe, name) for name in ("n_layer", "n_head", "n_embd", "dropout")}
    net = GPT(len(tokens.tokenizer), recipe.block_size, **sizes).to(recipe.device)
    if args.gpu:
        net.compile()
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.99),
        fused=True,
    )
    times, estimate = [], math.inf  # seconds of each step
    with tempfile.TemporaryDirectory() as folder:
        for step in range(steps):
            if step % EVERY == 0 and not args.bare:
                fitted, estimate = estimated_losses(net, recipe, train, val)
                print(f"step {step}: train {fitted:.4f}, val {estimate:.4f}", flush=True)
                if estimate <= args.loss:
                    break
                torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, f"{folder}/last.ckpt")
            start = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps)
            with torch.autocast(recipe.device, torch.bfloat16, args.gpu):
                loss = loss_of(net, *random_batch(train, recipe))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            if step % 10 == 0 or step == steps - 1:  # reading it waits for the GPU
                print(f"step {step}: loss {loss.item():.4f}", flush=True)
            times.append(time.perf_counter() - start)
    later = times[10:] or times  # the first ones compile
    result = {"step_seconds": sum(later) / len(later)}
    if not args.bare:
        result["val_loss"] = estimate if args.gpu else exact_loss(net, val)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
