"""The page's scripts outside a browser: run by node, the machine's own or the one inside playwright."""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from lightning_gpt.page.content import Content, Shown


@pytest.fixture(scope="session")
def node():
    """The path of a node."""
    spec = find_spec("playwright")
    inside = Path(spec.origin).parent / "driver" / "node" if spec is not None and spec.origin else None
    found = shutil.which("node") or (str(inside) if inside and inside.is_file() else None)
    if found is None:
        pytest.skip("no node on this machine, nor playwright, which brings one: the page's scripts were not run")
    return found


@pytest.fixture(scope="session")
def compute(node):
    """Asks the page's scripts about networks: a page for each, one node for all."""

    def ask(gpts, questions, half=False):
        pages = []
        for gpt in gpts:
            content = Content("title", [Shown(gpt, "network", half=half)], [], "", "", 0)
            pages.append({"plain": content.as_plain(), "weights": content.weights()})
        program = Path(__file__).with_name("compute.mjs")
        asked = json.dumps({"pages": pages, "questions": questions})
        done = subprocess.run([node, program], input=asked, capture_output=True, text=True, timeout=170)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask
