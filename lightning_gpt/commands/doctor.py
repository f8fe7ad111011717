"""doctor: examines whether text, recipe and machine suit each other, and how long training will take."""

import contextlib
import sys
from collections.abc import Sequence
from json import dumps

from lightning_gpt.diagnosis import examine, in_words
from lightning_gpt.launch.configuration import is_rank_zero


def doctor(json: bool = False, fit_options: Sequence[str] = ()) -> None:
    """Say whether text, recipe and machine suit each other, and how long training will take.

    Args:
        json: Print the findings as JSON: seconds, bytes, FLOP/s.
        fit_options: Any other option is one of fit's, as --config configs/cpu.yaml or --data.corpus book.txt.
    """
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        findings = examine(fit_options)
    if is_rank_zero():  # else Lightning started this process to measure several devices
        print(dumps(findings, indent=2, ensure_ascii=False) if json else in_words(findings))
