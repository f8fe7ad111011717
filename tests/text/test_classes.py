import numpy as np
import pytest

from lightning_gpt.text.classes import character_class, mean_by_class


@pytest.mark.parametrize(
    ("characters", "kind"),
    [
        ("azßé", "lower case"), ("AZÉ", "upper case"), ("字あ", "other letter"), ("09²", "digit"),
        (" \t\u00a0", "space"), ("\n", "line break"), (".,;'!?-–“", "punctuation"), ("$+\x00☃", "other"),
    ],
)  # fmt: skip
def test_classes(characters, kind):
    assert {character_class(c) for c in characters} == {kind}


def test_means():
    means = mean_by_class(np.array([1.0, 2.0, 4.0, 8.0]), "\naab")
    assert means == {"lower case": (3, pytest.approx(14 / 3)), "line break": (1, 1.0)}
