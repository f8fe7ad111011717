"""Renders findings as one HTML file that needs nothing else: no network, no font, no script from elsewhere."""

import base64
import unicodedata
from collections.abc import Sequence
from html import escape as html_escape
from itertools import groupby
from pathlib import Path

from lightning_gpt.pictures import LOOKS, draw_attention, line_chart, png
from lightning_gpt.pictures.attention import visible
from lightning_gpt.report.findings import Findings, Line, Sample
from lightning_gpt.text.overlap import LONG

STEPS = (0.25, 0.75, 1.5, 2.5, 3.5, 5.0)  # nats at which a token's colour gets stronger
# the one script: what the token under the pointer, or the one tapped, was expected to be
SCRIPT = """
const box = document.getElementById("guess"), hint = box.textContent;
for (const name of ["mouseover", "click"])
  document.getElementById("read").addEventListener(name, event => {
    box.textContent = event.target.dataset.g || hint;
  });
"""


def escape(text: str) -> str:
    """Makes text that can't become markup; control characters, which no page may hold, become a mark."""
    marked = "".join("□" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text)
    return html_escape(marked, quote=True)


def page(found: Findings, live: str | None = None) -> str:
    """Renders the whole file.

    Args:
        found: what it shows.
        live: the address of the page that runs the network, see `lightning_gpt.page`; None: there is none.
    """
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    title = f"{found.card.get('run', 'run')}: {found.loss:.4f} nats per {found.unit}"
    sections = [
        loss(found),
        samples(found),
        surprisal(found),
        classes(found),
        lines(found),
        attention(found),
        card(found),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n"
        f"<h1>{escape(title)}</h1>\n{link(live)}" + "\n".join(sections) + f"\n<script>{SCRIPT}</script>\n</html>\n"
    )


def link(live: str | None) -> str:
    """Renders the link to the page that runs the network, if there is one."""
    return f'<p><a href="{escape(live)}">Write with this network, and look inside it</a></p>\n' if live else ""


def loss(found: Findings) -> str:
    """Renders the loss: curves with baselines, units, and which baselines are beaten."""
    beaten = [name for name, level in found.baselines.items() if level > found.loss]
    said = f"Better than {', '.join(beaten)} counts." if beaten else "No better than counting."
    dotted = f"Dotted: what counting {found.unit}s alone reaches on the same held-out text. "
    held_out = f"held-out {found.unit}"
    if found.exact is not None:
        said, dotted = f"{found.exact:.2%} of the held-out lines are answered exactly.", ""
        held_out = f"{found.unit} of the held-out answers"
    chart = line_chart(found.curves, found.baselines, "training step", f"nats per {found.unit}") if found.curves else ""
    return (
        f'<p class="lead">{found.loss:.4f} nats per {held_out}, each counted once: '
        f"{found.length.bits_per_character(found.loss):.3f} bits per character and "
        f"{found.length.bits_per_byte(found.loss):.3f} bits per byte of text. {said}</p>\n<h2>Loss</h2>\n"
        f"<figure>{chart}<figcaption>{dotted}Lower is better.</figcaption></figure>"
    )


def samples(found: Findings) -> str:
    """Renders the samples, bold to wild, with what is copied underlined."""
    return "<h2>Samples</h2>\n" + "\n".join(map(sample, found.samples))


def sample(written: Sample) -> str:
    """Renders one sample."""
    said = ""
    if written.overlap is not None:
        said = (
            f": the longest stretch that occurs in the training text has {written.overlap.longest} characters; "
            f"{written.overlap.share:.0%} lie in stretches of {LONG} or more (underlined)"
        )
    html = "".join(
        f"<mark>{piece}</mark>" if copied else piece
        for copied, group in groupby(zip(written.text, written.copied, strict=True), key=lambda pair: pair[1])
        for piece in [escape("".join(character for character, _ in group))]
    )
    return (
        f"<figure><figcaption>Temperature {written.temperature:g}{said}</figcaption>"
        f'<pre class="sample">{html.lstrip()}</pre></figure>'
    )


def surprisal(found: Findings) -> str:
    """Renders held-out text, each piece the stronger coloured the higher its surprisal."""
    spans = []
    for piece in found.pieces:
        if piece.nats is None:
            spans.append(f"<b>{shown(piece.text)}</b>")
            continue
        guesses = ", ".join(f"{visible(guess)} {share:.0%}" for guess, share in piece.guesses)
        said = escape(f"{visible(piece.text)}  {piece.nats:.2f} nats; expected {guesses}")
        colour = f"h{strength(piece.nats)}"
        spans.append(f'<b class="{colour}" data-g="{said}" title="{said}">{shown(piece.text)}</b>')
    length = sum(len(piece.text) for piece in found.pieces)
    bounds = ["0", *(f"{step:g}" for step in STEPS)]
    legend = "".join(f'<b class="h{i}">{low}</b>' for i, low in enumerate(bounds))
    return (
        f"<h2>What surprised it</h2>\n<p>The held-out text from its first whole line on, {length:,} characters: the "
        f"stronger the colour, the less likely the network had thought the {found.unit}. Point at one, or tap it, for "
        f'its five best guesses.</p><p class="legend">nats, from {legend}</p>\n<div class="reader">'
        f'<div id="guess">point at a {found.unit}</div><div class="text" id="read">{"".join(spans)}</div></div>'
    )


def strength(nats: float) -> int:
    """Chooses the colour of a surprisal, 0 to 6."""
    return sum(nats >= step for step in STEPS)


def shown(text: str) -> str:
    """Escapes a piece of the coloured text; a line break can be pointed at, too."""
    return escape(text).replace("\n", "⏎\n")


def classes(found: Findings) -> str:
    """Renders the loss by class of character and by position in the block."""
    most = max(mean for _, mean in found.classes.values()) or 1.0
    rows = "".join(
        f'<tr><td>{name}</td><td class="n">{count:,}</td><td class="n">{mean:.3f}</td>'
        f'<td class="bar"><i style="width:{mean / most:.0%}"></i></td></tr>'
        for name, (count, mean) in found.classes.items()
    )
    chart = line_chart(
        {"held out": found.positions},
        {"mean": found.loss},
        f"{found.unit}s that could be seen",
        f"nats per {found.unit}",
        log_x=True,
    )
    shared = f" The characters of a {found.unit} share its nats evenly." if found.shared else ""
    return (
        '<h2>Where the loss is</h2>\n<table><tr><th>kind</th><th class="n">characters</th><th class="n">nats each</th>'
        f"<th></th></tr>{rows}</table>\n<figure>{chart}<figcaption>Loss by how much of the text before could be seen: "
        f"the block begins without any.{shared}</figcaption></figure>"
    )


def lines(found: Findings) -> str:
    """Renders the held-out lines of lowest and highest loss."""

    if not found.most_expected:
        return ""  # all of them are short

    def table(title: str, chosen: Sequence[Line]) -> str:
        rows = "".join(
            f'<tr><td class="n">{line.nats:.2f}</td><td class="line">{escape(line.text)}</td></tr>' for line in chosen
        )
        return f"<h2>{title}</h2>\n<table><tr><th class='n'>nats per character</th><th>line</th></tr>{rows}</table>"

    return (
        table("Most expected lines", found.most_expected) + "\n" + table("Least expected lines", found.least_expected)
    )


def attention(found: Findings) -> str:
    """Renders an attention map for each head."""
    if not len(found.maps):
        return ""
    pictures = []
    for i, heads in enumerate(found.maps, start=1):
        for j, head in enumerate(heads, start=1):
            name = f"block {i}, head {j}"
            picture = base64.b64encode(png(draw_attention(head[None], found.looked_at, name, words=LOOKS))).decode()
            pictures.append(f'<img class="map" alt="{name}" src="data:image/png;base64,{picture}">')
    return (
        f"<h2>Attention</h2>\n<p>How to read a head: each row is a {found.unit} of a held-out line, which shares all "
        f"of its attention among itself and the {found.unit}s before it, the stronger the colour, the more; strong on "
        f"the diagonal, it looks at itself; just below, at the one before; a strong column is a {found.unit} that all "
        f'look back to.</p><div class="maps">{"".join(pictures)}</div>'
    )


def card(found: Findings) -> str:
    """Renders the card of the run."""
    rows = "".join(
        f'<tr><th class="head">{escape(name)}</th><td class="card">{escape(value)}</td></tr>'
        for name, value in found.card.items()
    )
    return f"<h2>The run</h2>\n<table>{rows}</table>"
