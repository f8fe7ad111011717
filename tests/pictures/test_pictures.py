"""Pictures say what they show: every line is named, no name is written over another, and colours have a key."""

import re
from unittest import mock

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lightning_gpt.pictures import LOOKS, draw_attention, draw_ladder, draw_letters, line_chart
from lightning_gpt.pictures.attention import SHADES, _fitting
from lightning_gpt.pictures.ladder import COLORS
from lightning_gpt.pictures.spread import spread

CURVES = {
    "1-bigram": [(500, 2.60), (3000, 2.49)],
    "4-multi-head": [(500, 2.70), (5000, 2.2670)],
    "5-feed-forward": [(500, 2.65), (5000, 2.2669)],
    "7-layer-norm": [(500, 2.40), (5000, 2.06)],
}


def drawn(curves, baselines):
    """The picture of a ladder, and the axes that it was drawn on."""
    figures, save = [], Figure.savefig

    def saved(figure, *args, **options):
        figures.append(figure)
        save(figure, *args, **options)

    with mock.patch.object(Figure, "savefig", saved):
        picture = draw_ladder(curves, baselines)
    return picture, figures[0].axes[0]


def names(axes):
    """What is written beside the lines, by where it stands, the lowest first."""
    return sorted((text.xyann[1], text.get_text()) for text in axes.texts)


def test_each_rung_is_named_where_it_ends():
    _, axes = drawn(CURVES, {"bigram": 2.482})
    written = [name for _, name in names(axes)]
    assert written == [
        "7-layer-norm  2.06",
        "5-feed-forward  2.27",
        "4-multi-head  2.27",
        "counting: bigram  2.48",
        "1-bigram  2.49, 3,000 steps",
    ]
    heights = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(heights) for b in heights[:i])


def test_two_rungs_that_coincide_are_both_seen():
    same = {"one": [(0, 3.0), (100, 2.0)], "two": [(0, 3.0), (100, 2.0)]}
    pixels = np.asarray(drawn(same, {})[0].convert("RGB")).reshape(-1, 3)
    for color in COLORS[:2]:
        assert (pixels == np.array(to_rgb(color)) * 255).all(axis=1).sum() > 100


def test_a_baseline_far_away_takes_no_room():
    _, alone = drawn(CURVES, {})
    _, axes = drawn(CURVES, {"uniform": 4.174, "5-gram": 1.669})
    assert axes.get_ylim() == alone.get_ylim() and len(axes.texts) == len(CURVES)
    assert "uniform 4.17, 5-gram 1.67" in axes.get_xlabel() and "\n" not in alone.get_xlabel()


@pytest.mark.parametrize("count", [1, 9])
def test_a_ladder_of_any_length(count):
    picture, axes = drawn({str(i): [(20, 3.0 - i / 10)] for i in range(count)}, {})
    assert picture.width > 1000 and len(axes.texts) == count


def test_names_are_moved_apart_and_no_further():
    assert spread([1.0, 5.0], 2.0) == [1.0, 5.0]
    assert spread([0.0, 0.0, 9.0], 1.0) == [-0.5, 0.5, 9.0]
    generator = np.random.default_rng(1)
    for _ in range(50):
        places = np.sort(generator.uniform(0, 5, 8))
        moved = np.array(spread(places.tolist(), 0.7))
        assert (np.diff(moved) > 0.7 - 1e-9).all()
        for _ in range(20):  # no other arrangement is nearer
            other = generator.normal(moved, 0.1)
            if (np.diff(other) >= 0.7).all():
                assert ((moved - places) ** 2).sum() <= ((other - places) ** 2).sum()


def test_a_map_has_a_key_to_its_colours():
    picture = draw_attention(np.full((1, 4, 4), 0.25), "abcd", "a head", words=LOOKS)
    colors = {color for _, color in picture.getcolors(100_000)}
    assert {tuple(SHADES[0]), tuple(SHADES[-1])} <= colors  # of no weight in the map


def test_axes_are_named_on_request():
    maps = np.tril(np.ones((2, 4, 4))) / np.arange(1, 5)[:, None]
    plain, named = (draw_attention(maps, "abcd", "two heads", words=words) for words in (None, LOOKS))
    assert named.width > plain.width and named.height > plain.height
    for side in (96, 192, 300):  # none is cut off, from a block of 8 on
        assert all(_fitting(word, side).getlength(word) <= side for word in LOOKS), side


def test_letters_are_told_apart_and_coloured_by_kind():
    texts = ["a", "b", " ", "\n", "the whole word", "\u0600"]
    pictures = draw_letters(texts, [0, 1, 4, 5, 0, 9])
    assert pictures.shape[0] == len(texts) and pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == len(texts)
    assert all((picture < 128).any() for picture in pictures)  # none is blank, not even a space
    assert pictures[0][..., 2].min() > pictures[0][..., 0].min()  # blue
    assert pictures[1][..., 0].min() > pictures[1][..., 2].min()  # orange
    edges = np.concatenate([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]])
    assert (edges > 200).all()  # neighbours in TensorBoard's one picture of all do not touch


def test_a_chart_names_its_lines_at_their_ends():
    curves = {"trained on": [(10, 3.0), (100, 1.70)], "a<b": [(50, 2.0), (100, 1.69)]}
    svg = line_chart(curves, {"5-gram": 1.669, "uniform": 4.174}, "step", "loss")
    named = re.findall(r'<text class="small of-(\S+)" x="\d+" y="([\d.]+)">([^<]+)</text>', svg)
    assert [(kind, text) for kind, _, text in named] == [
        ("level", "uniform 4.174"),
        ("line-0", "trained on 1.700"),
        ("line-1", "a&lt;b 1.690"),
        ("level", "5-gram 1.669"),
    ]
    assert np.diff([float(y) for _, y, _ in named]).min() > 20


def test_curves_begin_and_end_inside_the_frame():
    svg = line_chart({"one": [(10, 3.0), (100, 1.0)]}, {"flat": 1.5}, "step", "loss")
    frame = re.search(r'class="grid" x1="(\d+)" x2="(\d+)"', svg)
    xs = [float(point.split(",")[0]) for point in re.search(r'points="([^"]+)"', svg)[1].split()]
    assert int(frame[1]) < xs[0] and xs[-1] < int(frame[2])
