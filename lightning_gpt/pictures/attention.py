"""Attention maps as pictures: a row for each position, a column for each token that it may look back to.

A row's weights sum to 1; white is 0, the darkest is 1.
"""

import math
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TITLE = 26
GAP = 14
INK = (40, 40, 40)
# white, blue, nearly black: in order of lightness, so that it can be read without seeing colours
SHADES = np.array([[255, 255, 255], [158, 202, 225], [66, 146, 198], [8, 81, 156], [5, 25, 60]], dtype=float)


def draw_attention(maps: np.ndarray, tokens: Sequence[str], title: str, cell: int = 18) -> Image.Image:
    """Draws maps (H, T, T), rows of sum 1, of H heads over T tokens.

    Spaces are shown as a low mark and line breaks as an arrow: characters that can't be seen can't be looked at. Drawn
    without matplotlib, at a hundredth of the time: this happens while a network trains.

    Args:
        maps: what each position looks at.
        tokens: the text of each; of characters, the text itself.
        title: written above.
        cell: pixels of a weight, in height and in width.
    """
    H, T, _ = maps.shape
    side, margin, columns = T * cell, cell + 6, math.ceil(math.sqrt(H))
    width, height = GAP + margin + side, (TITLE if H > 1 else 0) + margin + side + GAP
    wide = max(columns * width, math.ceil(_font(14).getlength(title)) + GAP) + GAP
    image = Image.new("RGB", (wide, TITLE + math.ceil(H / columns) * height + GAP), "white")
    draw = ImageDraw.Draw(image)
    draw.text((GAP, GAP / 2), title, INK, _font(14))
    for head, weights in enumerate(maps):
        left, top = GAP + head % columns * width, TITLE + GAP + head // columns * height
        if H > 1:
            draw.text((left + margin, top), f"head {head + 1}", INK, _font(13))
            top += TITLE
        left, top = left + margin, top + margin
        image.paste(Image.fromarray(shaded(weights)).resize((side, side), Image.Resampling.NEAREST), (left, top))
        draw.rectangle((left - 1, top - 1, left + side, top + side), outline=(190, 190, 190))
        for t, label in enumerate(map(visible, tokens)):
            middle = t * cell + cell // 2
            # a longer one is written smaller, for it must not run into its neighbours
            font = _font(max(4, min(cell * 3 // 4, cell * 3 // 2 // max(len(label), 1))))
            draw.text((left + middle, top - margin // 2), label, INK, font, anchor="mm")
            draw.text((left - margin // 2, top + middle), label, INK, font, anchor="mm")
    return image


def shaded(values: np.ndarray) -> np.ndarray:
    """Maps values (...) of 0 to 1 to colours (..., 3), uint8."""
    stops = np.linspace(0, 1, len(SHADES))
    channels = [np.interp(values, stops, SHADES[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def visible(text: str) -> str:
    """Replaces each invisible character by a mark."""
    return "".join({" ": "␣", "\n": "⏎", "\t": "⇥"}.get(c, c if c.isprintable() else "□") for c in text)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    spec = find_spec("matplotlib")  # which brings a font that knows more scripts than Pillow's own
    assert spec is not None and spec.origin is not None
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSansMono.ttf", size)
