"""Writes text with model.onnx: lightning-gpt's decoding in numpy. Needs numpy, onnxruntime and tokenizers.

A text longer than the network's block is read in windows: when the block is full, its later half is read anew, in one
pass, and the cache goes on from there. A token is drawn by inversion: the first, in the order of ids, up to which the
probabilities sum to more than u, and u is the next number in [0, 1) of a Mersenne Twister.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}  # of what a cache holds, by the graph's names


class Reader:
    """Reads one text with the network, for the logits (V,) of what comes next.

    Args:
        path: of model.onnx.
    """

    def __init__(self, path: str | Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a token is too little work to share
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        said = self.session.get_modelmeta().custom_metadata_map["lightning_gpt"]
        self.block_size = json.loads(said)["block_size"]
        self.cached = len(self.session.get_inputs()) > 1
        self.read: list[np.ndarray] = []  # the cache
        self.length = 0  # of it, in tokens

    def logits(self, ids: list[int]) -> np.ndarray:
        """The text so far to logits (V,), in fp32; one token longer at each call."""
        size = self.block_size
        if not self.cached:
            return self._run(ids[-size:])
        if 0 < self.length < size:
            return self._run(ids[-1:])
        new = ids[-size:] if self.length == 0 else ids[-max(1, size // 2) :]
        # an empty past: what has a name in a shape is the batch, of one text, or the past, of no tokens
        self.read = [
            np.zeros([1, *(n if isinstance(n, int) else 0 for n in x.shape[1:])], dtype=DTYPES[x.type])
            for x in self.session.get_inputs()[1:]
        ]
        self.length = 0
        return self._run(new)

    def _run(self, ids: list[int]) -> np.ndarray:
        inputs = {"ids": np.array([ids], dtype=np.int64), **{f"past.{i}": x for i, x in enumerate(self.read)}}
        logits, *self.read = self.session.run(None, inputs)
        self.length += len(ids)
        return logits[0, -1]


def next_token(
    logits: np.ndarray, twister: np.random.RandomState, temperature: float, top_k: int | None, top_p: float | None
) -> int:
    """Draws a token: logits (V,) to an id."""
    if temperature == 0:
        return int(logits.argmax())
    x = (logits - logits.max()) / np.float32(max(temperature, 1e-30))
    if top_k is not None:
        x = np.where(x < np.sort(x)[-min(top_k, len(x))], -np.inf, x)
    if top_p is not None and top_p < 1:
        order = np.argsort(-x, kind="stable")
        p = softmax(x[order])
        x[order[p.cumsum(dtype=np.float32) - p >= top_p]] = -np.inf
    sums = softmax(x).astype(np.float64).cumsum()
    high, low = (int(n) for n in twister.randint(0, 2**32, size=2, dtype=np.uint32))
    u = (high % 2**21 * 2**32 + low) / 2**53
    return int(np.searchsorted(sums, u * sums[-1], side="right"))


def softmax(x: np.ndarray) -> np.ndarray:
    """x (V,) to probabilities (V,), in fp32."""
    e = np.exp(x - x.max(), dtype=np.float32)
    return e / e.sum()


def write(
    reader: Reader,
    ids: list[int],
    max_new_tokens: int = 500,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 1337,
) -> Iterator[int]:
    """Continues ids, of at least one token: yields the ids that follow."""
    twister = np.random.RandomState(seed % 2**32)
    ids = list(ids)
    for _ in range(max_new_tokens):
        ids.append(next_token(reader.logits(ids), twister, temperature, top_k, top_p))
        yield ids[-1]


def main() -> None:
    """Reads the command line and prints the text."""
    from tokenizers import Tokenizer

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--prompt", default="\n")
    parser.add_argument("--max_new_tokens", type=int, default=500)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top_k", type=int)
    parser.add_argument("--top_p", type=float)
    parser.add_argument("--seed", type=int, default=1337)
    options = vars(parser.parse_args())
    folder = Path(__file__).parent
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(options.pop("prompt").replace("\\n", "\n")).ids
    print(tokenizer.decode([*ids, *write(Reader(folder / "model.onnx"), ids, **options)]))


if __name__ == "__main__":
    main()
