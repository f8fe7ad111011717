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
WORDS = 18  # pixels for the name of an axis
BAR = (96, 10)  # pixels of the bar of colours
LOOKS = ("the one that looks", "what it looks at")  # of a row and of a column of attention
INK = (40, 40, 40)
FRAME = (190, 190, 190)
# white, blue, nearly black: in order of lightness, so that it can be read without seeing colours
SHADES = np.array([[255, 255, 255], [158, 202, 225], [66, 146, 198], [8, 81, 156], [5, 25, 60]], dtype=float)


def draw_attention(
    maps: np.ndarray, tokens: Sequence[str], title: str, cell: int = 18, words: tuple[str, str] | None = None
) -> Image.Image:
    """Draws maps (H, T, T), rows of sum 1, of H heads over T tokens, with a bar of colours from 0 to 1.

    Spaces are shown as a low mark and line breaks as an arrow: characters that can't be seen can't be looked at. Drawn
    without matplotlib, at a hundredth of the time: this happens while a network trains.

    Args:
        maps: what each position looks at.
        tokens: the text of each; of characters, the text itself.
        title: written above.
        cell: pixels of a weight, in height and in width.
        words: what a row is, and what a column, such as LOOKS.
    """
    H, T, _ = maps.shape
    side, margin, columns = T * cell, cell + 6, math.ceil(math.sqrt(H))
    before = margin + (WORDS if words else 0)
    width, height = GAP + before + side, (TITLE if H > 1 else 0) + before + side + GAP
    wide = max(columns * width, math.ceil(typeface(14).getlength(title)) + GAP, BAR[0] + 4 * GAP) + GAP
    high = TITLE + math.ceil(H / columns) * height + GAP
    image = Image.new("RGB", (wide, high + BAR[1] + GAP), "white")
    draw = ImageDraw.Draw(image)
    draw.text((GAP, GAP / 2), title, INK, typeface(14))
    for head, weights in enumerate(maps):
        left, top = GAP + head % columns * width, TITLE + GAP + head // columns * height
        if H > 1:
            draw.text((left + before, top), f"head {head + 1}", INK, typeface(13))
            top += TITLE
        left, top = left + before, top + before
        image.paste(Image.fromarray(shaded(weights)).resize((side, side), Image.Resampling.NEAREST), (left, top))
        draw.rectangle((left - 1, top - 1, left + side, top + side), outline=FRAME)
        for t, label in enumerate(map(visible, tokens)):
            middle = t * cell + cell // 2
            # a longer one is written smaller, for it must not run into its neighbours
            font = typeface(max(4, min(cell * 3 // 4, cell * 3 // 2 // max(len(label), 1))))
            draw.text((left + middle, top - margin // 2), label, INK, font, anchor="mm")
            draw.text((left - margin // 2, top + middle), label, INK, font, anchor="mm")
        if words:
            row, column = words
            _write_up(image, row, (left - before, top, left - margin, top + side))
            draw.text((left + side // 2, top - before + WORDS // 2), column, INK, _fitting(column, side), anchor="mm")
    _bar_of_colours(image, GAP + before, high)
    return image


def _fitting(text: str, room: int) -> ImageFont.FreeTypeFont:
    """Chooses the size, 11 at most, at which a text is no wider than `room` pixels."""
    return typeface(max(4, min(11, int(11 * room / typeface(11).getlength(text)))))


def _write_up(image: Image.Image, text: str, box: tuple[int, int, int, int]) -> None:
    """Writes text from below to above, in the middle of a box (left, top, right, bottom)."""
    left, top, right, bottom = box
    line = Image.new("RGB", (bottom - top, right - left), "white")
    ImageDraw.Draw(line).text((line.width // 2, line.height // 2), text, INK, _fitting(text, bottom - top), anchor="mm")
    image.paste(line.transpose(Image.Transpose.ROTATE_90), (left, top))


def _bar_of_colours(image: Image.Image, left: int, top: int) -> None:
    """Draws what colour is which share, from 0 to 1."""
    draw = ImageDraw.Draw(image)
    draw.text((left, top + BAR[1] // 2), "0", INK, typeface(11), anchor="lm")
    left += GAP
    image.paste(Image.fromarray(shaded(np.linspace(0, 1, BAR[0])[None].repeat(BAR[1], axis=0))), (left, top))
    draw.rectangle((left - 1, top - 1, left + BAR[0], top + BAR[1]), outline=FRAME)
    draw.text((left + BAR[0] + 6, top + BAR[1] // 2), "1", INK, typeface(11), anchor="lm")


def shaded(values: np.ndarray) -> np.ndarray:
    """Maps values (...) of 0 to 1 to colours (..., 3), uint8."""
    stops = np.linspace(0, 1, len(SHADES))
    channels = [np.interp(values, stops, SHADES[:, i]) for i in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def visible(text: str) -> str:
    """Replaces each invisible character by a mark."""
    return "".join({" ": "␣", "\n": "⏎", "\t": "⇥"}.get(c, c if c.isprintable() else "□") for c in text)


@cache
def typeface(size: int) -> ImageFont.FreeTypeFont:
    """Loads the font that pictures are written in."""
    spec = find_spec("matplotlib")  # which brings a font that knows more scripts than Pillow's own
    assert spec is not None and spec.origin is not None
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSansMono.ttf", size)
