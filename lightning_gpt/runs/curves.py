"""Reads what a run logged for TensorBoard. Only its event files are read; nothing in them is trusted to be a number."""

import logging
import time
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError

EVENTS = "events.out.tfevents."  # a file's name goes on with seconds.host.process.number


def read_events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Reads the scalars and texts of the run in `folder`: for each tag (steps done, value), a text as bytes.

    Raises:
        UserError: something that is no file has the name of one.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for path in folder.glob("*tfevents*"):
        if not path.is_file():  # a pipe would wait for ever, a device never end
            raise UserError(f"{path} is no file of TensorBoard's: remove it")
    # it warns on every resumed run that it leaves out what was logged after the checkpoint
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    events = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0}).Reload()
    found: dict[str, list[tuple[int, Any]]] = {}
    for tag in events.Tags()["scalars"]:
        found[tag] = [(event.step + 1, event.value) for event in events.Scalars(tag)]  # Lightning counts from 0
    for tag in events.Tags()["tensors"]:
        # a resumed run's scalars are left out by TensorBoard itself; of a text that was logged twice the later counts
        if texts := {event.step + 1: text for event in events.Tensors(tag) for text in event.tensor_proto.string_val}:
            found[tag] = sorted(texts.items())
    return found


def order_events(folder: Path) -> None:
    """Renames a run's event files, if need be, so that one which is made now comes after them.

    TensorBoard reads them by name, and a name begins with the clock's seconds. Where the clock was set back since (a
    power cut, no battery), or the second is still the same, the curves would be read in the wrong order.

    Raises:
        UserError: they can't be renamed.
    """
    files = sorted(path for path in folder.glob(f"{EVENTS}*") if path.name[len(EVENTS) :].partition(".")[0].isdecimal())
    if not files or int(files[-1].name[len(EVENTS) :].partition(".")[0]) < int(time.time()):
        return
    for number, path in enumerate(files):
        host = path.name[len(EVENTS) :].partition(".")[2]
        try:
            path.rename(path.with_name(f"{EVENTS}{number:010}.{host}"))
        except OSError as error:
            raise UserError(
                f"can't rename {path} ({error.strerror or error}): the machine's clock is behind"
            ) from error
