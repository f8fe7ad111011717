"""Draws the ladder in one picture: the loss curve of each rung, named where it ends."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from lightning_gpt.pictures.spread import spread

Curve = Sequence[tuple[int, float]]  # (step, held-out loss in nats per token)
# Okabe and Ito's colours without their yellow, and two more: told apart without red, or green, or blue. Neighbours
# differ much, also in lightness, and every other line is dashed: two that nearly coincide are both seen
COLORS = ("#56b4e9", "#cc79a7", "#e69f00", "#0072b2", "#d55e00", "#009e73", "#000000", "#8a6d3b", "#7f7f7f")
MARKERS = "osv^Dph"


def draw_ladder(curves: Mapping[str, Curve], baselines: Mapping[str, float], unit: str = "character") -> Image.Image:
    """Draws the held-out loss of each rung over its steps, with baselines as flat lines.

    The losses alone decide which are shown: a baseline far above or below them is said in words.

    Args:
        curves: by the rung's label, in order.
        baselines: nats per token, by name.
        unit: what a token is called.
    """
    from matplotlib.figure import Figure

    losses = [loss for curve in curves.values() for _, loss in curve]
    low, high = min(losses), max(losses)
    room = 0.06 * (high - low or 1)
    low, high = low - room, high + room
    last = max(curve[-1][0] for curve in curves.values())

    figure = Figure(figsize=(10, 5.4), layout="constrained", facecolor="white")
    axes = figure.subplots()
    ends = []  # (loss, step, what is written beside it, colour)
    for i, (label, curve) in enumerate(curves.items()):
        steps, places = zip(*curve, strict=True)
        color, dashes = COLORS[i % len(COLORS)], (0, (5, 2)) if i % 2 else "-"
        marker = MARKERS[i % len(MARKERS)]
        axes.plot(steps, places, color=color, linestyle=dashes, marker=marker, markersize=4.5, clip_on=False)
        early = f", {steps[-1]:,} steps" if steps[-1] < last else ""
        ends.append((places[-1], steps[-1], f"{label}  {places[-1]:.2f}{early}", color))
    outside = []
    for name, loss in baselines.items():
        if low <= loss <= high:
            axes.axhline(loss, color="0.45", linewidth=1, linestyle=":", zorder=0)
            ends.append((loss, last, f"counting: {name}  {loss:.2f}", "0.45"))
        else:
            outside.append(f"{name} {loss:.2f}")

    axes.set_ylim(low, high)
    axes.set_xlim(0, last)
    ends.sort()
    right = axes.get_yaxis_transform()  # x in widths of the plot, y in nats
    for (loss, step, said, color), place in zip(
        ends, spread([end[0] for end in ends], 0.05 * (high - low)), strict=True
    ):
        axes.plot([step / last, 1], [loss, loss], color=color, linewidth=1, linestyle=":", transform=right)
        axes.plot([1.01, 1.03], [loss, place], color=color, linewidth=1.5, transform=right, clip_on=False)
        axes.annotate(said, (1.035, place), xycoords=right, va="center", color="0.1", annotation_clip=False)
    axes.set_title(f"Held-out loss, in nats per {unit}: lower is better", loc="left", fontsize=12)
    counted = f"\nCounting alone, outside of this picture: {', '.join(outside)}" if outside else ""
    axes.set_xlabel(f"training step{counted}")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, dpi=110)
    return Image.open(file)
