"""Reads a duration as it is typed: 90s, 2m, 1h30m."""

import re

from lightning_gpt.errors import UserError

UNITS = {"h": 3600, "m": 60, "s": 1}
LEAST, MOST = 15.0, 24 * 3600.0  # seconds


def duration(text: str) -> float:
    """Returns the seconds of a duration.

    Raises:
        UserError: it is none, or there is nothing that a run could do in it.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UserError(f"a budget is a time as 90s, 2m or 1h30m, not {text!r}")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if not LEAST <= seconds <= MOST:
        raise UserError(f"a budget may be from {LEAST:.0f}s to {MOST / 3600:.0f}h, not {text}")
    return seconds
