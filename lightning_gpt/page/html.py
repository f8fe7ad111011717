"""Makes the page: one HTML file that needs nothing else, and may ask for nothing else.

What comes from a checkpoint is JSON in a block that the browser does not run, and becomes text only when the scripts
put it on the page. Were it to become markup by a fault, it still could not run: the policy names the two blocks of
style and script that the page has, by their hashes, and forbids any request.
"""

import base64
import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from lightning_gpt.page.content import Content

ASSETS = Path(__file__).parent / "assets"
PIECE = 2**20  # characters of base64 that are handed on at once: a frame can wait for that
IMPORT = re.compile(r'^import\s*\{[^}]*\}\s*from\s*"\./(\w+)\.js";\n', re.MULTILINE)


def render(content: Content) -> str:
    """Renders the whole file."""
    style, script = asset("style.css"), bundle("main")
    policy = (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)}; worker-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    blocks = [
        block("content", "application/json", as_json(content.as_plain())),
        block("worker", "text/plain", '"use strict";\n' + bundle("worker")),
        *(
            block(f"weights-{i}-{piece}", "text/plain", text[start : start + PIECE])
            for i, text in enumerate(content.weights())
            for piece, start in enumerate(range(0, len(text), PIECE))
        ),
    ]
    parts = {
        "policy": escape(policy),
        "title": escape(content.title.encode(errors="replace").decode()),
        "style": f"<style>{style}</style>",
        "blocks": "\n".join(blocks),
        "script": f'<script type="module">{script}</script>',
    }
    return filled("page.html", **parts)


def filled(name: str, **parts: str) -> str:
    """Fills the places {{…}} of a file of the page."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], asset(name))


def asset(name: str) -> str:
    """Reads a file of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def bundle(entry: str) -> str:
    """Joins a module and all that it imports to one script, each after those that it needs."""
    parts: dict[str, str] = {}

    def add(name: str) -> None:
        source = asset(f"{name}.js")
        for needed in IMPORT.findall(source):
            if needed not in parts:
                add(needed)
        parts[name] = re.sub(r"^export ", "", IMPORT.sub("", source), flags=re.MULTILINE)

    add(entry)
    return "".join(parts.values())


def block(name: str, kind: str, text: str) -> str:
    """Makes a block of data, which the browser does not run."""
    assert "</script" not in text.lower() and "<!--" not in text, name
    return f'<script id="{name}" type="{kind}">{text}</script>'


def as_json(plain: dict[str, Any]) -> str:
    """Writes JSON that can't end the block it stands in, in ASCII."""
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def hashed(text: str) -> str:
    """Names a block for a Content-Security-Policy: "CSP Level 3", W3C."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
