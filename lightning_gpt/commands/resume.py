"""Whether a run that was asked for is one that was interrupted before, and may go on. Starts nothing."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning_gpt.model import checkpoint
from lightning_gpt.runs import newest_last

NOT_OF_THE_RUN = ("ckpt_path", "resume", "config")


def unfinished(home: Path) -> tuple[Path, int] | None:
    """last.ckpt of the newest run in `home` and its steps, if that run did not come to its own end."""
    last = newest_last(home)
    if last is None:
        return None
    contents = checkpoint.read(last)
    states = contents.get("callbacks", {})
    finished = any(state.get("finished") for state in states.values() if isinstance(state, Mapping))
    return None if finished else (last, contents["global_step"])


def differences(theirs: Mapping[str, Any], mine: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """What two configurations of a run do not agree on, as `name: theirs, now mine`.

    An option that theirs lacks is younger than their run, which so had its default.
    """
    right = dict(flat(mine))
    left = {name: defaults[name] for name in right if name in defaults} | dict(flat(theirs))
    return [
        f"{name}: {left.get(name)}, now {right.get(name)}"
        for name in {**left, **right}
        if left.get(name) != right.get(name) and name not in NOT_OF_THE_RUN
    ]


def flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested options as `a.b.c`, value."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield before + name, value
