"""Reads how a run stands from its folder, in plain values for the page. What lies there is data, and may be wrong."""

import math
import os
import shlex
import time
from pathlib import Path
from typing import Any, Literal

from lightning_gpt.errors import collecting
from lightning_gpt.files import is_locked
from lightning_gpt.runs.config import FILE, read_config
from lightning_gpt.runs.curves import COUNTED, Events, Number, begun_at, samples
from lightning_gpt.runs.result import Result
from lightning_gpt.runs.stop import asked_to_stop
from lightning_gpt.tokens import TOKENIZERS, Tokenizer

Status = Literal["running", "stopping", "finished", "stopped"]

POINTS = 600  # of a curve: about as many as a screen shows
LEVELS = ("uniform", "unigram", "bigram", "5-gram")
SAMPLES = 20  # prompts
LONGEST = 5_000  # characters of a text
PICTURES = 200  # as many as TensorBoard is told to keep
MAPS = "maps_of_attention/"
PNG = b"\x89PNG\r\n\x1a\n"
LARGEST_PICTURE = 1_000_000  # bytes
WIDEST_PICTURE = 4_000  # pixels: what a small file may swell to
ROWS = 1_000  # validations


class Watched:
    """A run's folder that is looked at again and again.

    Args:
        folder: the run's.
        program: this program as a shell takes it, for the command that goes on with the run.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self._program = program
        self._events = Events(folder)
        self._config: dict[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """Describes how the run stands now; of what can't be read there is nothing but a line in `problems`."""
        problems: list[str] = []
        result = Result()
        with collecting(problems):
            result = Result.read(self.folder) or result
        with collecting(problems):
            if self._config is None and (self.folder / FILE).exists():  # in YAML, which takes a while to read
                self._config = read_config(self.folder / FILE)
        with collecting(problems):
            self._events.read()
        status = self.status(result)
        train, speed = self._curve("loss/train"), self._curve("speed/chars_per_s")
        step = max([result.steps, *(number.step for number in train[-1:])])
        left = self._seconds_left(train, result.max_steps) if status == "running" else None
        last = self.folder / "checkpoints" / "last.ckpt"
        return finite(
            {
                "folder": str(self.folder),
                "name": "/".join(self.folder.resolve().parts[-2:]),
                "status": status,
                "step": step,
                "max_steps": result.max_steps,
                "seconds_left": left,
                "silent": time.time() - train[-1].time if train else None,
                "speed": speed[-1].value if speed else result.chars_per_s,
                "unit": unit(self._config or {}),
                "curves": {
                    "trained on": points(train),
                    "held out": points(self._curve("loss/val")),
                },
                "speeds": points(speed),
                "levels": {name: logged[-1].value for name in LEVELS if (logged := self._level(name))},
                "validations": [
                    {"step": v.step, "nats": v.nats_per_token, "bits": v.bits_per_char, "exact": v.exact}
                    for v in result.validations[-ROWS:]
                ],
                "best": result.best.step if result.best else None,
                "samples": self._samples(),
                "pictures": [
                    {"place": place, "name": tag.removeprefix(MAPS).replace("_", " ")[:100], "step": found[0]}
                    for place, tag in enumerate(self._maps())
                    if (found := self._events.newest_picture(tag))
                ],
                "card": [[head[:100], text[:LONGEST]] for head, text in result.card[:100]],
                "go_on": f"{self._program} fit --ckpt_path {shlex.quote(os.path.relpath(last))}"
                if last.is_file()
                else None,
                "problems": problems,
            }
        )

    def status(self, result: Result) -> Status:
        """Tells whether the run goes on; where a lock can't tell, every run goes on that has not come to its end."""
        if result.finished:
            return "finished"
        if is_locked(self.folder) is False:
            return "stopped"
        return "stopping" if asked_to_stop(self.folder) else "running"

    def picture(self, number: int) -> bytes | None:
        """Returns the newest of the pictures by its place in the state; None if it is no picture of ours."""
        tags = self._maps()
        found = self._events.newest_picture(tags[number]) if number < len(tags) else None
        return found[1] if found is not None and is_small_png(found[1]) else None

    def _maps(self) -> list[str]:
        return [tag for tag in self._events.tags("images") if tag.startswith(MAPS)][:PICTURES]

    def _curve(self, tag: str, most: int = POINTS) -> list[Number]:
        return self._events.numbers(tag, most) if tag in self._events.tags("scalars") else []

    def _level(self, name: str) -> list[Number]:
        """The newest number of a baseline, where it stands now or stood in version 0.1."""
        return self._curve(f"{COUNTED}/{name}", most=1) or self._curve(f"loss/{name}", most=1)

    def _samples(self) -> list[dict[str, Any]]:
        tags = [tag for tag in self._events.tags("tensors") if tag.startswith("sample/")][:SAMPLES]
        newest = samples({tag: self._events.texts(tag)[-1:] for tag in tags})
        return [
            {"prompt": prompt[:LONGEST], "step": step, "text": text[:LONGEST]}
            for prompt, found in newest.items()
            for step, text in found
        ]

    def _seconds_left(self, train: list[Number], max_steps: int) -> float | None:
        """Estimates the time to the last step by that of the steps since the process began, validations included."""
        begun = begun_at(self.folder)
        here = [number for number in train if number.time >= begun]
        if len(here) < 2 or max_steps < 0:
            return None
        first, last = here[0], here[-1]
        if last.step <= first.step or last.time <= first.time:  # a clock that was set back
            return None
        return max(0, max_steps - last.step) * (last.time - first.time) / (last.step - first.step)


def unit(config: dict[str, Any]) -> str:
    """Names a token of the run's text."""
    data = config.get("data")
    kind = data.get("tokenizer") if isinstance(data, dict) else None
    return TOKENIZERS.get(str(kind), Tokenizer).unit


def points(numbers: list[Number]) -> list[tuple[int, float]]:
    """Lists a curve's points, those that are numbers."""
    return [(number.step, number.value) for number in numbers if math.isfinite(number.value)]


def finite(value: Any) -> Any:
    """Replaces what JSON has no word for by null."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_small_png(contents: bytes) -> bool:
    """Tells a PNG file of modest size by its first bytes."""
    sides = (int.from_bytes(contents[at : at + 4], "big") for at in (16, 20))
    return (
        contents.startswith(PNG)
        and len(contents) <= LARGEST_PICTURE
        and all(0 < side <= WIDEST_PICTURE for side in sides)
    )
