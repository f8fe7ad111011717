"""A plain PyTorch loop of nanoGPT's CPU recipe: what a careful script does without Lightning, to be measured against.

Same network (rung 8), batch, optimizer, schedule and number of steps as configs/nanogpt-cpu.yaml; every 250 steps an
estimate of both losses over 20 random batches each and a checkpoint, as that recipe has it; at the end the exact
loss. Runs as a program of its own: `python -m lightning_gpt.benchmark.plain`; the last line it prints is JSON.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lightning_gpt.ladder import GPT
from lightning_gpt.lecture import exact_loss, loss_of
from lightning_gpt.text import find_corpus, prepare

BLOCK_SIZE, BATCH_SIZE = 64, 12
WARMUP, EVERY, BATCHES = 100, 250, 20


def random_batch(ids: np.ndarray) -> tuple[Tensor, Tensor]:
    """Draws x, y (B, T) at random offsets."""
    starts = torch.randint(len(ids) - BLOCK_SIZE, (BATCH_SIZE,))
    x = torch.stack([torch.from_numpy(ids[i : i + BLOCK_SIZE].astype(np.int64)) for i in starts])
    y = torch.stack([torch.from_numpy(ids[i + 1 : i + 1 + BLOCK_SIZE].astype(np.int64)) for i in starts])
    return x, y


@torch.no_grad()
def estimated_losses(net: GPT, *splits: np.ndarray) -> list[float]:
    """Estimates the loss of each split by random batches, in nats per character."""
    net.eval()
    losses = [sum(loss_of(net, *random_batch(ids)).item() for _ in range(BATCHES)) / BATCHES for ids in splits]
    net.train()
    return losses


def learning_rate(step: int, steps: int, full: float = 1e-3) -> float:
    """Computes the learning rate: linear warm-up, then a cosine down to a tenth."""
    if step < WARMUP:
        return full * (step + 1) / (WARMUP + 1)
    progress = (step - WARMUP) / max(1, steps - WARMUP)
    return full * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def main() -> None:
    """Trains; prints seconds per step and the exact loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--bare", action="store_true", help="steps only: no losses but the training one, no checkpoint")
    args = parser.parse_args()

    torch.manual_seed(1337)
    tokens = prepare(find_corpus("tinyshakespeare", args.data_dir), Path(args.data_dir) / "prepared")
    n = int(0.9 * len(tokens.ids))
    train, val = tokens.ids[:n], tokens.ids[n:]
    net = GPT(len(tokens.tokenizer), BLOCK_SIZE, n_layer=4, n_head=4, n_embd=128)
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.99),
        fused=True,
    )
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for step in range(args.steps):
            if step % EVERY == 0 and not args.bare:
                losses = estimated_losses(net, train, val)
                print(f"step {step}: train {losses[0]:.4f}, val {losses[1]:.4f}", flush=True)
                torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, f"{folder}/last.ckpt")
            start = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, args.steps)
            loss = loss_of(net, *random_batch(train))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            if step % 10 == 0:
                print(f"step {step}: loss {loss.item():.4f}", flush=True)
            seconds += time.perf_counter() - start
    result = {"step_seconds": seconds / args.steps}
    if not args.bare:
        result["val_loss"] = exact_loss(net, val)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
