"""The file: what is data in it stays data, and it has nothing from elsewhere."""

import json
import re
import subprocess

import pytest
import torch

from lightning_gpt.ladder import GPT
from lightning_gpt.model import TrainedGPT
from lightning_gpt.page.content import Content, Shown, principal_axes
from lightning_gpt.page.html import ASSETS, as_json, bundle, hashed, render
from lightning_gpt.tokens import Characters

HOSTILE = "</script><!--<script>alert(1)</script>]]>&lt;\u2028\u2029\x00\udcff"


@pytest.fixture
def page():
    characters = Characters("<>&\"'/!-\n\u2028")
    gpt = TrainedGPT(GPT(len(characters), 8, n_layer=1, n_head=1, n_embd=4).eval(), characters)
    return render(Content(HOSTILE, [Shown(gpt, HOSTILE, HOSTILE)], [], HOSTILE, HOSTILE, 1))


def test_data_can_not_end_its_block(page):
    assert page.count("</script>") == page.count("<script") == 4
    assert "alert" not in re.sub(r'<script id="content".*?</script>|<title>.*?</title>|<h1>.*?</h1>', "", page)
    assert "<!--" not in page


def test_data_is_what_it_was():
    assert json.loads(as_json({"a": HOSTILE})) == {"a": HOSTILE}
    assert as_json({"a": HOSTILE}).isascii() and not set("<>&") & set(as_json({"a": HOSTILE}))


def test_the_policy_names_what_runs_and_nothing_else(page):
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    assert hashed(script) in policy and hashed(style) in policy
    assert not re.search(r'\son\w+=|style="|javascript:', re.sub(r"<script.*?</script>", "", page, flags=re.S))


def test_nothing_is_from_elsewhere():
    for path in ASSETS.iterdir():
        source = path.read_text()
        assert set(re.findall(r"https?://[\w./]+", source)) <= {
            "http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML",
        }  # fmt: skip
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)


@pytest.mark.parametrize("entry", ["main", "worker", "watch"])
def test_joined_scripts_are_one_module(node, tmp_path, entry):
    """Of two files, no two names at the top are the same."""
    joined = tmp_path / f"{entry}.mjs"
    joined.write_text('"use strict";\n' + bundle(entry))
    assert not re.search("^(import|export) ", joined.read_text(), re.M)
    done = subprocess.run([node, "--check", joined], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_script_is_on_a_page():
    used = bundle("main") + bundle("worker") + bundle("watch")
    for path in ASSETS.glob("*.js"):
        assert path.read_text().split("*/")[0] in used, path.name


def test_axes_are_directions_of_length_1():
    axes = torch.tensor(principal_axes(torch.randn(20, 6)))
    torch.testing.assert_close(axes @ axes.T, torch.eye(2), atol=1e-3, rtol=0)
    assert torch.tensor(principal_axes(torch.ones(1, 1))).shape == (2, 1)
