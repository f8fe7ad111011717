"""Reads what a run logged for TensorBoard. Only its event files are read; nothing in them is trusted to be a number."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning_gpt.errors import UserError
from lightning_gpt.runs.folders import EVENTS

COUNTED = "n-gram_loss"  # the group of the baselines' tags


@dataclass(frozen=True)
class Number:
    """A logged number.

    Attributes:
        step: steps done.
        value: the number; not always finite.
        time: when it was logged, in seconds of the clock.
    """

    step: int
    value: float
    time: float


class Events:
    """The events that a run in `folder` has logged so far; `read` again takes in those that have come since."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events: Any = None
        self._paths: set[Path] = set()

    def read(self) -> None:
        """Reads what is there, or what has come.

        Raises:
            UserError: something that is no file has the name of one, or what is in it is damaged.
        """
        from google.protobuf.message import DecodeError
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        paths = set(self.folder.glob("*tfevents*"))
        for path in paths:
            if not path.is_file():  # a pipe would wait for ever, a device never end
                raise UserError(f"{path} is no file of TensorBoard's: remove it")
        # it warns on every resumed run that it leaves out what was logged after the checkpoint
        logging.getLogger("tensorboard").setLevel(logging.ERROR)
        if self._events is None or not self._paths <= paths:  # renamed, see `order_events`: from the beginning
            self._events = EventAccumulator(str(self.folder), {"scalars": 0, "tensors": 0, "images": 1})
        self._paths = paths
        try:
            self._events.Reload()
        except (DecodeError, ValueError) as error:
            raise UserError(f"what {self.folder} has logged for TensorBoard is damaged: remove the files") from error

    def tags(self, kind: Literal["scalars", "tensors", "images"]) -> list[str]:
        """Lists the tags of a kind."""
        return [] if self._events is None else self._events.Tags()[kind]

    def numbers(self, tag: str, most: int | None = None) -> list[Number]:
        """Returns the numbers of a tag, or about `most` of them, evenly spread, the last among them."""
        logged = self._events.Scalars(tag)
        every = 1 if most is None else max(1, math.ceil(len(logged) / most))
        # Lightning counts steps from 0
        return [Number(event.step + 1, event.value, event.wall_time) for event in logged[::-1][::every][::-1]]

    def texts(self, tag: str) -> list[tuple[int, bytes]]:
        """Returns the texts of a tag: (steps done, text). Of one that was logged twice the later counts.

        A resumed run's scalars are left out by TensorBoard itself.
        """
        tensors = [(event.step + 1, event.tensor_proto.string_val) for event in self._events.Tensors(tag)]
        return sorted({step: text for step, texts in tensors for text in texts}.items())

    def newest_picture(self, tag: str) -> tuple[int, bytes] | None:
        """Returns the newest picture of a tag: (steps done, a PNG file's contents); None if it was taken back."""
        logged = self._events.Images(tag)
        return (logged[-1].step + 1, logged[-1].encoded_image_string) if logged else None


def read_events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Reads the scalars and texts of the run in `folder`: for each tag (steps done, value), a text as bytes.

    Raises:
        UserError: see `Events.read`.
    """
    events = Events(folder)
    events.read()
    found: dict[str, list[tuple[int, Any]]] = {
        tag: [(number.step, number.value) for number in events.numbers(tag)] for tag in events.tags("scalars")
    }
    for tag in events.tags("tensors"):
        if texts := events.texts(tag):
            found[tag] = list(texts)
    return found


def samples(texts: Mapping[str, list[tuple[int, bytes]]]) -> dict[str, list[tuple[int, str]]]:
    """Takes the samples from logged texts, by their prompts: (steps done, text); see `training.board.as_markdown`."""
    return {
        tag.removeprefix("sample/").removesuffix("/text_summary"): [
            (step, "\n".join(line.removeprefix("    ") for line in value.decode(errors="replace").split("\n")))
            for step, value in points
        ]
        for tag, points in texts.items()
        if tag.startswith("sample/")
    }


def begun_at(folder: Path) -> int:
    """Returns when the newest event file of a run was begun, in seconds of the clock: when its process started."""
    return max((int(path.name[len(EVENTS) :].partition(".")[0]) for path in _event_files(folder)), default=0)


def _event_files(folder: Path) -> list[Path]:
    names = folder.glob(f"{EVENTS}*")
    return sorted(path for path in names if path.name[len(EVENTS) :].partition(".")[0].isdecimal())


def order_events(folder: Path) -> None:
    """Renames a run's event files, if need be, so that one which is made now comes after them.

    TensorBoard reads them by name, and a name begins with the clock's seconds. Where the clock was set back since (a
    power cut, no battery), or the second is still the same, the curves would be read in the wrong order.

    Raises:
        UserError: they can't be renamed.
    """
    if begun_at(folder) < int(time.time()):
        return
    for number, path in enumerate(_event_files(folder)):
        host = path.name[len(EVENTS) :].partition(".")[2]
        try:
            path.rename(path.with_name(f"{EVENTS}{number:010}.{host}"))
        except OSError as error:
            raise UserError(
                f"can't rename {path} ({error.strerror or error}): the machine's clock is behind"
            ) from error
