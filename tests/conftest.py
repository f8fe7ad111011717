"""A small text, a shell to type commands into, and one run that several tests look at.

A command runs in the test's own process: the interpreter's start and its imports, of 3 to 5 s, are paid once a worker.
A process of its own (`shell.process`, `shell.start`) is for what only a process shows: signals, ranks, a full disk,
and for each command that it starts at all.
"""

import fcntl
import io
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"  # the networks here are tiny, and a busy machine makes threads wait for each other

import numpy as np
import pytest
import torch
from budget import Budget
from hypothesis import settings
from lightning.pytorch.utilities import rank_zero_only

from lightning_gpt.cli import main
from lightning_gpt.model.decoding import Reader

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

ROOT = Path(__file__).parent.parent

TEXT = (
    "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n"
    "Rough winds do shake the darling buds of May,\nAnd summer's lease hath all too short a date.\n\n"
) * 40

TINY = [
    "--model.network=GPT", "--model.network.n_layer=2", "--model.network.n_head=2", "--model.network.n_embd=16",
    "--data.block_size=16", "--data.batch_size=4", "--trainer.max_steps=20", "--trainer.val_check_interval=10",
    "--trainer.accelerator=cpu", "--trainer.precision=32-true", "--sample.max_new_tokens=20",
]  # fmt: skip
OPEN = [option for option in TINY if not option.startswith(("--trainer.max_steps", "--trainer.val_check_interval"))]

SCREENSHOTS = ROOT / "screenshots"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

# a suite that runs in the background, or under nohup, would pass on to every process that these are ignored
for number, handler in {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}.items():
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_configure(config):
    config.pluginmanager.register(Budget())


@contextmanager
def restored():
    """What a command may change of its process is afterwards as it was, so that no test depends on those before it."""
    loggers = [logging.root, *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    levels = [logger.level for logger in loggers]
    handlers = {number: signal.getsignal(number) for number in SIGNALS}  # Lightning keeps SIGTERM's after a fit
    draws = random.getstate(), np.random.get_state(), torch.get_rng_state()
    folder, threads, rank = Path.cwd(), torch.get_num_threads(), rank_zero_only.rank  # Lightning never resets it
    with mock.patch.dict(os.environ), mock.patch.object(sys, "argv", sys.argv[:]), warnings.catch_warnings():
        try:
            yield
        finally:
            os.chdir(folder)
            rank_zero_only.rank = rank
            torch.set_num_threads(threads)
            random.setstate(draws[0])
            np.random.set_state(draws[1])
            torch.set_rng_state(draws[2])
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for logger, level in zip(loggers, levels, strict=True):
                if logger.level != level:  # setting one empties every logger's cache
                    logger.setLevel(level)


@pytest.fixture(autouse=True)
def _restored():
    with restored():
        os.environ.pop("COLUMNS", None)  # xdist's: lines are as wide as they are in a pipe
        yield


class Stream(io.TextIOWrapper):
    """A pipe's end as a program sees it: bytes, no terminal."""

    def __init__(self, text=""):
        super().__init__(io.BytesIO(text.encode()), encoding="utf-8")

    def written(self):
        self.flush()
        return self.buffer.getvalue().decode()


class Shell:
    """Types `lightning-gpt …` into a shell that stands in one folder."""

    def __init__(self, folder):
        self.folder = folder

    def environment(self, **more):
        others = ("LIGHTNING_GPT", "SLURM", "PL_", "COLUMNS")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "CUDA_VISIBLE_DEVICES": "", **more}

    def __call__(self, *args, stdin="", status=0, **more):
        """In this process."""
        out, err, args = Stream(), Stream(), [str(arg) for arg in args]
        environment = mock.patch.dict(os.environ, self.environment(**more), clear=True)
        typed = mock.patch.object(sys, "stdin", Stream(stdin))
        with restored(), environment, typed, redirect_stdout(out), redirect_stderr(err):
            os.chdir(self.folder)
            sys.argv = [str(ROOT / "lightning_gpt" / "__main__.py"), *args]
            try:
                returned = main(args)
            except SystemExit as end:
                returned = end.code or 0
        done = subprocess.CompletedProcess(args, returned, out.written(), err.written())
        assert status is None or done.returncode == status, f"{args}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *args, start_new_session=False, preexec_fn=None, **more):
        """In a process of its own, which is the caller's to end."""
        return subprocess.Popen(
            [sys.executable, "-m", "lightning_gpt", *map(str, args)],
            cwd=self.folder,
            env=self.environment(**more),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=start_new_session,
            preexec_fn=preexec_fn,
        )

    def process(self, *args, stdin="", status=0, **more):
        """In a process of its own, to its end."""
        process = self.start(*args, **more)
        out, err = process.communicate(stdin, timeout=170)
        assert process.returncode == status, f"{args}\n{out}\n{err}"
        return subprocess.CompletedProcess(args, process.returncode, out, err)


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    return Shell(tmp_path)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """The name of a text of some length, in the folder that one stands in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT * 20)
    return "text.txt"


@pytest.fixture(scope="session")
def trained(tmp_path_factory, worker_id):
    """A shell whose folder holds one finished run of the tiny network, made once for all workers; not to be written to.

    Its fit is the one that is a process of its own to its natural end.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "trained"
    folder.mkdir(exist_ok=True)
    shell, out, err = Shell(folder), folder / "stdout", folder / "stderr"
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not err.exists():
            (folder / "text.txt").write_text(TEXT)
            done = shell.process("fit", "--data.corpus=text.txt", *TINY)
            out.write_text(done.stdout)
            err.write_text(done.stderr)
    shell.log = subprocess.CompletedProcess([], 0, out.read_text(), err.read_text())
    shell.run = folder / "runs" / "gpt" / "version_0"
    shell.best = shell.run / "checkpoints" / "best.ckpt"
    shell.last = shell.run / "checkpoints" / "last.ckpt"
    return shell


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; its WebGL is computed by the processor."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make test-browser does that")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("no Chromium on this machine (on Debian: apt-get install chromium), so nothing was looked at")
    flags = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # which Chromium refuses to root
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens a page; what goes wrong on it and what it asks for is in its `wrong` and `requested`."""
    contexts = []

    def open_page(address, width=1360, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.wrong, page.requested = [], []
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("console", lambda message: page.wrong.append(message.text))
        page.on("request", lambda request: page.requested.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def screenshot():
    """Keeps a picture of a page."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return lambda page, name, **options: page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)


def contrast(a, b):
    """WCAG's ratio of two CSS colours."""

    def luminance(color):
        parts = [int(part) / 255 for part in color[4:-1].split(",")]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(scope="session")
def node():
    """The path of a node."""
    spec = find_spec("playwright")
    inside = Path(spec.origin).parent / "driver" / "node" if spec is not None and spec.origin else None
    found = shutil.which("node") or (str(inside) if inside and inside.is_file() else None)
    if found is None:
        pytest.skip("no node on this machine, nor playwright, which brings one: the page's scripts were not run")
    return found


def drawn_by_multinomial(network, ids, count, temperature=1.0, generator=None, cached=True):
    """Continues ids (B, T) as the lecture and version 0.1 draw, which is not `next_token`'s way: (B, count)."""
    reader, drawn = Reader(network, ids, cached), []
    for _ in range(count):
        drawn.append(torch.multinomial((reader.logits() / temperature).softmax(dim=-1), 1, generator=generator))
        reader.append(drawn[-1])
    return torch.cat(drawn, dim=1)
