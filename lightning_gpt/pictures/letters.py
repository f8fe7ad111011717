"""Tokens as small pictures of themselves, for where they are points."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from lightning_gpt.pictures.attention import typeface, visible

SIDE = 40  # pixels
# Okabe and Ito's colours, the darker ones: told apart without red, or green, or blue
COLORS = ("#0072b2", "#d55e00", "#009e73", "#a6548b", "#000000", "#000000", "#7f7f7f", "#8a6d3b")


def draw_letters(texts: Sequence[str], kinds: Sequence[int]) -> np.ndarray:
    """Draws each text in the colour of its kind, a number from 0: (N, SIDE, SIDE, 3), uint8."""
    pictures = []
    for text, kind in zip(texts, kinds, strict=True):
        said = visible(text)
        image = Image.new("RGB", (SIDE, SIDE), "white")
        size = min(SIDE * 4 // 5, SIDE * 8 // 5 // max(len(said), 1))
        middle = (SIDE // 2, SIDE // 2)
        ImageDraw.Draw(image).text(middle, said, COLORS[kind % len(COLORS)], typeface(max(size, 4)), anchor="mm")
        pictures.append(np.asarray(image))
    return np.stack(pictures)
