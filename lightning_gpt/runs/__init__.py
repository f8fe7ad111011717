"""Runs on the disk: folder, configuration, result, curves, checkpoints, and the rules of resuming."""

from lightning_gpt.runs.curves import read_events
from lightning_gpt.runs.folders import BY_NAME, find_checkpoint, new_version, newest_last, run_folder
from lightning_gpt.runs.result import Result, Validation
from lightning_gpt.runs.run import Run, load

__all__ = [
    "BY_NAME",
    "Result",
    "Run",
    "Validation",
    "find_checkpoint",
    "load",
    "new_version",
    "newest_last",
    "read_events",
    "run_folder",
]
