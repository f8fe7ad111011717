"""Draws line charts as SVG, in the page's own colours: right by day, by night, on paper, on a phone."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from lightning_gpt.pictures.spread import spread

Curve = Sequence[tuple[float, float]]  # (x, y)
WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 68, 178, 14, 46  # at the right the names
INSIDE = 10  # from the frame to the first point, and from the last
LINE = 22  # from one name to the next: on a phone they are as high


def line_chart(
    curves: Mapping[str, Curve], levels: Mapping[str, float], x_label: str, y_label: str, log_x: bool = False
) -> str:
    """Draws curves by name, and flat lines at levels by name, as an <svg> element.

    Each is named where it ends, with its last value; lines differ by dashes as well as by colour. Its colours are the
    classes line-0 …, its text takes the page's.
    """
    points = [point for curve in curves.values() for point in curve]
    xs = [math.log10(max(x, 1)) if log_x else x for x, _ in points]
    ys = [y for _, y in points] + list(levels.values())
    (x_low, x_high), (y_low, y_high) = (min(xs), max(xs)), (min(ys), max(ys))
    y_low, y_high = y_low - 0.05 * (y_high - y_low or 1), y_high + 0.05 * (y_high - y_low or 1)

    def at(x: float, y: float) -> tuple[float, float]:
        across = ((math.log10(max(x, 1)) if log_x else x) - x_low) / (x_high - x_low or 1)
        return LEFT + INSIDE + across * (WIDTH - LEFT - RIGHT - 2 * INSIDE), HEIGHT - BOTTOM - (y - y_low) / (
            y_high - y_low
        ) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for y in ticks(y_low, y_high):
        _, place = at(1, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{place + 4:.1f}" text-anchor="end">{y:g}</text>')
    marks = [10.0**i for i in range(math.ceil(x_low), math.floor(x_high) + 1)] if log_x else ticks(x_low, x_high)
    for x in marks:
        place, _ = at(x, y_low)
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:,g}</text>')
    ends = []  # (place, class, what is written)
    for name, y in levels.items():
        _, place = at(1, y)
        parts.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        ends.append((place, "level", f"{name} {y:.3f}"))
    # a single line is solid
    for i, (name, curve) in enumerate(curves.items(), start=int(len(curves) == 1)):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in curve))
        last = f"{name}: {curve[-1][1]:.4f} at {curve[-1][0]:,g}"
        parts.append(f'<polyline class="line-{i}" points="{path}"><title>{escape(last)}</title></polyline>')
        if len(curve) <= 30:
            parts += [
                f'<circle class="dot-{i}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(name)}: {point[1]:.4f} at '
                f"{point[0]:,g}</title></circle>"
                for point, (x, y) in ((point, at(*point)) for point in curve)
            ]
        ends.append((at(*curve[-1])[1], f"line-{i}", f"{name} {curve[-1][1]:.3f}"))
    ends.sort()
    for (place, kind, said), y in zip(ends, spread([end[0] for end in ends], LINE), strict=True):
        right = WIDTH - RIGHT
        parts.append(f'<line class="{kind}" x1="{right + 2}" x2="{right + 14}" y1="{place:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="small of-{kind}" x="{right + 18}" y="{y + 4:.1f}">{escape(said)}</text>')
    middle = (HEIGHT - BOTTOM + TOP) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'
    )
    parts.append(f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    label = escape(f"{y_label} over {x_label}: {', '.join(curves)}", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Chooses round numbers between two, at most `most` + 1 of them."""
    rough = (high - low) / most or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]
