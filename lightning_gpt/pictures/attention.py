"""What attention heads look at: a row for each position, a column for each character that it may look back to."""

from matplotlib.figure import Figure
from torch import Tensor


def draw_attention(weights: Tensor, text: str, title: str) -> Figure:
    """weights (T, T), rows of sum 1, of one head over `text` of T characters, to a figure.

    Spaces are shown as a low mark and line breaks as ⏎: characters that can't be seen can't be looked at.
    """
    labels = [{" ": "␣", "\n": "⏎", "\t": "⇥"}.get(c, c) for c in text]
    side = 1.6 + 0.24 * len(text)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained", facecolor="white")
    axes = figure.subplots()
    image = axes.imshow(weights.detach().float().cpu().numpy(), cmap="viridis", vmin=0)
    axes.set_xticks(range(len(text)), labels, family="monospace")
    axes.set_yticks(range(len(text)), labels, family="monospace")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("looks at (key)")
    axes.set_ylabel("position that looks (query)")
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="attention weight", shrink=0.8)
    figure.suptitle(title)
    return figure
