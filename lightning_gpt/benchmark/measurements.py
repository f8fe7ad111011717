"""The benchmark's measurements: this project beside a plain PyTorch loop, in turns, as rows of a table."""

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from lightning_gpt import machine
from lightning_gpt.benchmark.table import Row
from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing
from lightning_gpt.ladder import GPT, ModernGPT, Network
from lightning_gpt.model import Sampling, decode, for_decoding
from lightning_gpt.runs import Run, newest_last


class Bench:
    """The measurements; each method of MEASUREMENTS makes one, and returns its rows."""

    def __init__(self, folder: Path, configs: Path, data_dir: Path, rounds: int, seconds: float) -> None:
        self.folder = folder
        self.configs = configs
        self.data_dir = data_dir
        self.rounds = rounds
        self.seconds = seconds
        self._numbers = itertools.count()

    # ------------------------------------------------------------------------------------------------ the two sides

    def plain(self, *options: str) -> tuple[float, dict[str, float]]:
        """Runs the plain loop as a program: returns seconds of the whole process, and what its last line says."""
        seconds, out = timed("-m", "lightning_gpt.benchmark.plain", f"--data_dir={self.data_dir}", *options)
        result: dict[str, float] = json.loads(out.splitlines()[-1])
        return seconds, result

    def ours(self, recipe: str, *options: str) -> tuple[float, Run]:
        """Runs a fit as a program: returns seconds of the whole process, and the run.

        Args:
            recipe: the name of a configuration, or a budget as --budget=2m.
            options: the fit's others.
        """
        budget = recipe.startswith("--")
        name = f"{'budget' if budget else recipe}-{next(self._numbers)}"
        seconds, _ = timed(
            "-m", "lightning_gpt", "fit", recipe if budget else f"--config={self.configs / recipe}.yaml",
            f"--runs_dir={self.folder}", f"--data.data_dir={self.data_dir}", "--data.offline_corpus=null",
            f"--name={name}", *options,
        )  # fmt: skip
        newest = newest_last(self.folder / name)
        assert newest is not None
        return seconds, Run(newest.parent.parent)

    # ---------------------------------------------------------------------------------------------- what is measured

    def step(self) -> list[Row]:
        """Measures a Trainer's step beside the plain loop's: the same network, batch and precision."""

        def seconds() -> float:
            result = self.ours("nanogpt-cpu", *ON_CPU, *steps_of(300))[1].result
            return result.seconds / result.steps

        return [self._step("a training step of nanoGPT's CPU recipe, fp32", seconds)]

    def _step(self, what: str, seconds: Callable[[], float], *plain_options: str) -> Row:
        plain, ours = [], []
        for _ in range(self.rounds):
            plain.append(1e3 * self.plain("--bare", "--steps=300", *plain_options)[1]["step_seconds"])
            ours.append(1e3 * seconds())
        return Row(what, "ms", plain, ours)

    def _seconds_a_step(self, recipe: str, steps: int, *options: str) -> float:
        """Measures so many steps of a recipe, and a checkpoint, after as many others, which may compile."""
        first, second = self.ours(recipe, *options, *steps_of(2 * steps, steps))[1].result.validations
        return (second.seconds - first.seconds) / steps

    def gpu(self) -> list[Row]:
        """Measures on a CUDA device: nanoGPT's recipe for one, compiled, and our shortest that ends at its loss."""
        plain, ours = [], []
        for _ in range(self.rounds):
            plain.append(self.plain("--gpu", f"--loss={NANOGPT_ON_GPU}"))
            ours.append(self.ours("gpu-fast"))
        return [
            self._step(
                "a training step of nanoGPT's GPU recipe, bf16",
                lambda: self._seconds_a_step("nanogpt-gpu", 300),
                "--gpu",
            ),
            Row(f"whole process to {NANOGPT_ON_GPU} on a GPU", "s", [s for s, _ in plain], [s for s, _ in ours]),
            Row(
                "its val loss, estimated and exact",
                "nats",
                [r["val_loss"] for _, r in plain],
                [val_loss(run) for _, run in ours],
            ),
        ]

    def time(self) -> list[Row]:
        """Measures whole processes: the plain loop's recipe, and our shortest that ends at its loss or below."""
        plain, ours = [], []
        for _ in range(self.rounds):
            plain.append(self.plain())
            ours.append(self.ours("cpu-fast", *ON_CPU))
        rows = [
            Row("whole process to nanoGPT's loss", "s", [s for s, _ in plain], [s for s, _ in ours]),
            Row("its exact val loss", "nats", [r["val_loss"] for _, r in plain], [val_loss(run) for _, run in ours]),
        ]
        return rows + self._loss(statistics.median(s for s, _ in plain), rows[1].plain)

    def _loss(self, budget: float, plain: Sequence[float]) -> list[Row]:
        """Measures the loss of cpu.yaml in a whole process of `budget` seconds: its steps are chosen to fill it."""
        seconds, run = self.ours("cpu", *ON_CPU, *steps_of(200))
        training = run.result.seconds
        steps = int((budget - (seconds - training)) / (training / run.result.steps))
        seconds, run = self.ours("cpu", *ON_CPU, *steps_of(steps))
        return [
            Row(
                f"exact val loss after that time (cpu.yaml, {steps} steps, {seconds:.0f} s)",
                "nats",
                plain,
                [val_loss(run)],
            )
        ]

    def tokens(self) -> list[Row]:
        """Measures tokenizers at equal training time, on the same held-out text: the steps are chosen to fill it."""
        config = "cpu-10min" if self.seconds >= 600 else "cpu"
        rows = []
        for name, options in TOKENS.items():
            steps = max(10, int(self.seconds / self._seconds_a_step(config, TRIAL, *ON_CPU, *options)))
            result = self.ours(config, *ON_CPU, *options, *steps_of(steps))[1].result
            what = f"{name} as tokens, {config}.yaml: {steps:,} steps in {result.seconds:.0f} s"
            assert result.last is not None
            rows.append(Row(what, "bits per held-out byte", [], [result.last.bits_per_byte]))
        return rows

    def generation(self) -> list[Row]:
        """Measures how fast two networks write: nanoGPT's of 10.65M parameters, and that of cpu.yaml."""
        torch.manual_seed(1337)
        large = for_decoding(GPT(65, 256, n_layer=6, n_head=6, n_embd=384).eval())
        small = for_decoding(ModernGPT(65, 1024, n_layer=4, n_head=2, n_embd=128, window=64, pointer=32).eval())
        rows = []
        for name, net, streams, characters in (
            ("10.65M", large, 1, 500), ("10.65M", large, 10, 200), ("0.8M", small, 1, 500),
        ):  # fmt: skip
            plain, cached, bf16, share = [], [], [], []
            for _ in range(self.rounds):
                plain.append(written(net, streams, Sampling(characters, 0.8, top_k=200, cached=False)))
                bytes_per_second = machine.bandwidth()
                cached.append(written(net, streams, Sampling(characters, 0.8, top_k=200)))
                weights = sum(4 * p.numel() for p in net.parameters())
                share.append(100 * weights * cached[-1] / streams / bytes_per_second)
                bf16.append(written(net, streams, Sampling(characters, 0.8, top_k=200, bf16=True)))
            what = f"{streams} x {characters} characters of a {name} network"
            rows.append(Row(f"{what}, without and with cache", "characters/s", plain, cached))
            if net is large:
                rows.append(Row("its weights read, of the memory bandwidth", "%", [], share))
                rows.append(Row("multiplied in bf16", "characters/s", [], bf16))
        return rows

    def preparation(self) -> list[Row]:
        """Measures the preparation of 100 MB of text, in processes of their own."""
        rows = []
        for name, line in {
            "ASCII": "To be, or not to be, that is the question:\n",
            "Greek": "Ἄνδρα μοι ἔννεπε, Μοῦσα\n",
        }.items():
            path = self.folder / f"{name}.txt"
            size = 100_000_000
            with replacing(path) as file:
                file.write((line * (size // len(line.encode()) + 1)).encode()[: size - size % len(line.encode())])
            rates, memory = [], []
            for _ in range(self.rounds):
                for prepared in (self.folder / "prepared").glob("*"):
                    prepared.unlink()
                _, out = timed("-c", PREPARE, str(path), str(self.folder / "prepared"))
                seconds, extra = map(float, out.split()[-2:])
                rates.append(size / 1e6 / seconds)
                memory.append(extra)
            path.unlink()
            rows.append(Row(f"preparing 100 MB of {name} text", "MB/s", [], rates))
            rows.append(Row("its extra memory", "MB", [], memory))
        return rows

    def budget(self) -> list[Row]:
        """Measures what `make train` does: a budget of two minutes."""
        return self._whole("--budget=2m")

    def long(self) -> list[Row]:
        """Measures the recipes and the budgets of ten minutes and of an hour, and one network from several."""
        whole = [row for what in ("cpu-10min", "--budget=10m", "cpu-1h", "--budget=1h") for row in self._whole(what)]
        return whole + self._distilled()

    def _distilled(self) -> list[Row]:
        """Measures an hour of teacher and student: of the teacher's recipe three quarters."""
        taught, teacher = self.ours("cpu-1h", "--trainer.max_steps=1500", "--trainer.val_check_interval=375")
        learned, student = self.ours("student", f"--model.teacher={teacher.best}")
        return [
            Row("cpu-1h.yaml, 1,500 steps, then student.yaml, whole processes", "s", [], [taught + learned]),
            Row("exact val loss of the one network", "nats", [], [val_loss(student)]),
        ]

    def _whole(self, recipe: str) -> list[Row]:
        """Measures one fit, samples and all."""
        seconds, run = self.ours(recipe)
        what = f"fit {recipe}" if recipe.startswith("--") else f"{recipe}.yaml"
        return [
            Row(f"{what}, whole process", "s", [], [seconds]),
            Row("its exact val loss", "nats", [], [val_loss(run)]),
        ]


def written(network: Network, streams: int, sampling: Sampling) -> float:
    """Measures the characters/s at which a network writes so many texts together."""
    generator = torch.Generator().manual_seed(1337)
    start = time.perf_counter()
    for _ in decode(network, torch.zeros(streams, 1, dtype=torch.long), sampling, generator):
        pass
    return streams * sampling.max_new_tokens / (time.perf_counter() - start)


PREPARE = """
import re, sys, time
from lightning_gpt.text import find_corpus, prepare

def peak():  # not getrusage: its peak may be that of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1e3

before, start = peak(), time.perf_counter()
prepare(find_corpus(sys.argv[1], "."), sys.argv[2])
print(time.perf_counter() - start, peak() - before)
"""
MEASUREMENTS: dict[str, Callable[[Bench], list[Row]]] = {
    "step": Bench.step,
    "time": Bench.time,
    "budget": Bench.budget,
    "generation": Bench.generation,
    "preparation": Bench.preparation,
    "tokens": Bench.tokens,
    "long": Bench.long,
    "gpu": Bench.gpu,
}
ON_CPU = ["--trainer.accelerator=cpu"]  # where the plain loop of nanoGPT's CPU recipe is
NANOGPT_ON_GPU = 1.4697  # the loss that nanoGPT publishes for its recipe for a GPU
TRIAL = 100  # steps from which is told how many fill the time
TOKENS = {
    "characters": ["--data.tokenizer=characters"],
    "bytes": ["--data.tokenizer=bytes"],
    "BPE 512": ["--data.tokenizer=bpe", "--data.vocab_size=512"],
    "BPE 2,048": ["--data.tokenizer=bpe", "--data.vocab_size=2048"],
}


def steps_of(steps: int, every: int | None = None) -> list[str]:
    """Returns the options of a fit of so many steps, measured at its end or every so many, without samples."""
    every = every or steps
    return [f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={every}", "--sample.max_new_tokens=0"]


def val_loss(run: Run) -> float:
    """Returns the last validation's loss, in nats per token."""
    assert run.result.last is not None
    return run.result.last.nats_per_token


def timed(*args: str) -> tuple[float, str]:
    """Runs a Python program: returns the seconds of its whole process, and what it printed.

    Raises:
        UserError: it failed.
    """
    start = time.perf_counter()
    process = subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if process.returncode:
        reason = (process.stderr.strip() or "no reason given").splitlines()[-1]
        raise UserError(f"bench: {' '.join(args[:3])} failed: {reason}")
    return seconds, process.stdout
