"""The whole lecture on one page: a text, its vocabulary, batches, a network, its loss, a step, and what it then writes.

    python -m lightning_gpt.lecture

About a minute on two cores; 2,000 steps end at 1.96 nats per character of Shakespeare.

Andrej Karpathy, "Let's build GPT: from scratch, in code, spelled out", 2023,
https://www.youtube.com/watch?v=kCc8FmEb1nY, ends with a program like this one. The networks are the files of
`lightning_gpt.ladder`, read in order; this is all there is around them. The rest of the project makes this page fast,
safe to interrupt and easy to watch, and reaches the same losses digit for digit (tests/test_lecture_page.py).

Legend: B rows of a batch, T time (positions), V vocabulary, N characters of a text.
"""

import argparse
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_gpt.ladder import LayerNormGPT, Network
from lightning_gpt.text import IGNORE, HeldOutBlocks, TrainingBlocks, find_corpus

BLOCK_SIZE, BATCH_SIZE, LEARNING_RATE, SEED = 32, 16, 1e-3, 1337
EVERY = 500  # steps between two looks at the held-out text


def numbered(text: str) -> tuple[str, np.ndarray]:
    """Makes the vocabulary, the sorted distinct characters, and turns the text into their numbers (N,)."""
    characters = "".join(sorted(set(text)))  # V of them
    number = {character: i for i, character in enumerate(characters)}
    return characters, np.array([number[character] for character in text])


def loss_of(net: Network, x: Tensor, y: Tensor) -> Tensor:
    """Computes the mean of -log p(y) over the targets y (B, T) after x (B, T), in nats per character.

    A network that knows nothing is at ln V: 4.17 for 65 characters.
    """
    logits = net(x)  # (B, T, V)
    nats = F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=IGNORE, reduction="sum")
    return nats / (y != IGNORE).sum()


@torch.no_grad()
def exact_loss(net: Network, ids: np.ndarray) -> float:
    """Computes the loss over every target of a held-out text (N,) once: no estimate, the same each time."""
    net.eval()
    total, targets = 0.0, 0
    for x, y in HeldOutBlocks(ids, net.block_size):
        n = int((y != IGNORE).sum())  # the last block is shorter than the others
        total += loss_of(net, x, y).item() * n
        targets += n
    net.train()
    return total / targets


def training(net: Network, ids: np.ndarray, batch_size: int, lr: float, seed: int) -> Iterator[float]:
    """Takes one step of gradient descent after another on random blocks of a text (N,); yields each step's loss."""
    matrices = [p for p in net.parameters() if p.ndim >= 2]
    vectors = [p for p in net.parameters() if p.ndim < 2]  # biases and norms, which do not decay
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}], lr=lr, fused=True
    )
    for x, y in TrainingBlocks(ids, net.block_size, batch_size, seed):  # endless; y[b, t] follows x[b, t]
        loss = loss_of(net, x, y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        yield loss.item()


@torch.no_grad()
def written(net: Network, ids: Tensor, n: int) -> Tensor:
    """Continues ids (B, T) by n characters to (B, T + n), each drawn from what the network expects next."""
    net.eval()
    for _ in range(n):
        logits = net(ids[:, -net.block_size :])[:, -1]  # (B, V), of the last position alone
        drawn = torch.multinomial(logits.softmax(dim=-1), num_samples=1)  # (B, 1)
        ids = torch.cat([ids, drawn], dim=1)
    return ids


def main() -> None:
    """Runs the lecture."""
    parser = argparse.ArgumentParser(prog="python -m lightning_gpt.lecture", description="The lecture on one page.")
    parser.add_argument("--corpus", default="tinyshakespeare", help="its name, or the path of a text file")
    parser.add_argument("--steps", type=int, default=2000)
    args = parser.parse_args()

    corpus = find_corpus(args.corpus)
    text = b"".join(corpus.chunks()).decode()
    characters, ids = numbered(text)
    n = int(0.9 * len(ids))
    train, held_out = ids[:n], ids[n:]
    print(f"{corpus.name}: {len(text):,} characters, {len(characters)} distinct: {characters!r}")

    torch.manual_seed(SEED)
    net = LayerNormGPT(len(characters), BLOCK_SIZE, n_layer=4, n_head=4, n_embd=64)  # rung 7
    print(f"{sum(p.numel() for p in net.parameters()):,} parameters")
    losses = training(net, train, BATCH_SIZE, LEARNING_RATE, SEED)
    for step, loss in enumerate(islice(losses, args.steps), start=1):
        if step % EVERY == 0 or step == args.steps:
            print(f"step {step:,}: train {loss:.4f}, held out {exact_loss(net, held_out):.4f}", flush=True)
    first = torch.tensor([[characters.index(text[0])]])  # (1, 1)
    print("".join(characters[i] for i in written(net, first, 300)[0]))


if __name__ == "__main__":
    main()
