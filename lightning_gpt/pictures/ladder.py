"""Draws the ladder in one picture: the loss curve of each rung, and the staircase of where they ended."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

Curve = Sequence[tuple[int, float]]  # (step, held-out loss in nats per token)


def draw_ladder(curves: Mapping[str, Curve], baselines: Mapping[str, float], unit: str = "character") -> Image.Image:
    """Draws the held-out loss of each rung over its steps, and the last as stairs, with baselines as flat lines.

    Args:
        curves: by the rung's label, in order.
        baselines: nats per token, by name.
        unit: what a token is called.
    """
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained", facecolor="white")
    over_time, stairs = figure.subplots(1, 2, sharey=True, width_ratios=(5, 4))
    shades = matplotlib.colormaps["viridis"]  # in order of lightness, not by hue alone; its palest end is left out
    colors = [shades(0.88 * i / max(len(curves) - 1, 1)) for i in range(len(curves))]
    for i, (label, curve) in enumerate(curves.items()):
        steps, losses = zip(*curve, strict=True)
        over_time.plot(steps, losses, marker="osv^Dph"[i % 7], markersize=4, color=colors[i], label=label)
        stairs.hlines(losses[-1], i - 0.5, i + 0.5, color=colors[i], linewidth=5)
        note = stairs.annotate(f"{losses[-1]:.3f}", (i, losses[-1]), (0, 8), textcoords="offset points", ha="center")
        note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    for name, loss in baselines.items():
        for axes in (over_time, stairs):
            axes.axhline(loss, color="0.35", linewidth=1, linestyle="--", zorder=0)
        over_time.annotate(
            f"{name} {loss:.3f}", (1, loss), (-4, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", fontsize=9, color="0.25",
        )  # fmt: skip
    over_time.set_xlabel("training step")
    over_time.set_ylabel(f"held-out loss (nats per {unit})")
    over_time.legend(fontsize=9, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    ends = [curve[-1][1] for curve in curves.values()]
    stairs.vlines([i + 0.5 for i in range(len(ends) - 1)], ends[:-1], ends[1:], color="0.6", linewidth=1, zorder=0)
    stairs.set_xticks(range(len(curves)), curves, rotation=35, ha="right")
    stairs.set_xlabel("rung, after its last step")
    lowest = min([*baselines.values(), *(loss for curve in curves.values() for _, loss in curve)])
    over_time.set_ylim(lowest - 0.15, max([*baselines.values(), 4.0]) + 0.2)
    for axes in (over_time, stairs):
        axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, dpi=110)
    return Image.open(file)
