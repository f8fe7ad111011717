"""Draws numbers as pictures: attention maps, charts, the ladder. Knows nothing of training."""

from lightning_gpt.pictures.attention import LOOKS, draw_attention
from lightning_gpt.pictures.chart import line_chart
from lightning_gpt.pictures.ladder import draw_ladder
from lightning_gpt.pictures.letters import draw_letters
from lightning_gpt.pictures.png import png

__all__ = ["LOOKS", "draw_attention", "draw_ladder", "draw_letters", "line_chart", "png"]
