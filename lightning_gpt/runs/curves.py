"""Reads what a run logged for TensorBoard. Only its event files are read; nothing in them is trusted to be a number."""

import logging
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError


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
