"""A run's result as data: result.json in its folder, replaced whole at every validation."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.files import replacing

FILE = "result.json"
FORMAT = 1
LARGEST = 10_000_000  # bytes of a file that is read at all: a validation takes some 200


@dataclass(frozen=True)
class Validation:
    """The exact losses over the whole held-out text after so many steps.

    Attributes:
        step: optimizer steps done.
        nats_per_token: val/loss.
        bits_per_char: the same in bits per character of the text.
        bits_per_byte: the same in bits per byte of the text in UTF-8.
        seconds: of training so far, validations left out.
        exact: the share of held-out lines that were answered exactly; None where lines are no examples.
    """

    step: int
    nats_per_token: float
    bits_per_char: float
    bits_per_byte: float
    seconds: float
    exact: float | None = None


@dataclass(frozen=True)
class Result:
    """A run's result.

    Attributes:
        finished: whether the run came to its own end.
        max_steps: steps that were asked for; -1 for no end.
        parameters: of the network.
        chars_per_s: median speed of training, in characters/s; None until it was measured.
        validations: in order.
        checkpoints: name to path, relative to the run's folder.
        card: the run's card as rows of (head, text), as it is printed when the run begins.
    """

    finished: bool = False
    max_steps: int = -1
    parameters: int = 0
    chars_per_s: float | None = None
    validations: tuple[Validation, ...] = ()
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    card: tuple[tuple[str, str], ...] = ()

    @property
    def best(self) -> Validation | None:
        """The validation with the lowest loss, the first of them; None before the first."""
        finite = [v for v in self.validations if math.isfinite(v.nats_per_token)]
        return min(finite, key=lambda v: v.nats_per_token, default=None)

    @property
    def last(self) -> Validation | None:
        """The newest validation; None before the first."""
        return self.validations[-1] if self.validations else None

    @property
    def steps(self) -> int:
        """Optimizer steps done at the newest validation."""
        return self.last.step if self.last else 0

    @property
    def seconds(self) -> float:
        """Seconds of training up to the newest validation."""
        return self.last.seconds if self.last else 0.0

    def write(self, folder: Path) -> None:
        """Replaces the result in a run's folder, whole or not at all.

        Raises:
            UserError: no space, or no right to write.
        """
        derived = {"best": asdict(self.best) if self.best else None, "steps": self.steps, "seconds": self.seconds}
        contents = {"format": FORMAT, **derived, **asdict(self)}
        try:
            with replacing(folder / FILE) as file:
                file.write(json.dumps(contents, indent=2, ensure_ascii=True).encode())
        except OSError as error:
            raise UserError(f"can't save {folder / FILE} ({error.strerror or error}): make room") from error

    @classmethod
    def read(cls, folder: Path) -> "Result | None":
        """Reads the result in a run's folder; None where there is none, as in runs of version 0.1.

        Raises:
            UserError: the file is damaged.
        """
        path = folder / FILE
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > LARGEST:
                raise ValueError("it is too large")
            return cls._of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise UserError(f"{path} is damaged ({type(error).__name__}): remove it") from error

    @classmethod
    def _of(cls, contents: Any) -> "Result":
        """Makes a result from plain values, which are not trusted.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: they are no result.
        """
        if contents["format"] != FORMAT:
            raise ValueError("of another format")
        validations = tuple(map(_validation, contents["validations"]))
        speed = contents["chars_per_s"]
        return cls(
            finished=contents["finished"] is True,
            max_steps=int(contents["max_steps"]),
            parameters=int(contents["parameters"]),
            chars_per_s=None if speed is None else float(speed),
            validations=validations,
            checkpoints={str(name): str(path) for name, path in contents["checkpoints"].items()},
            card=tuple((str(head), str(text)) for head, text in contents["card"]),
        )


def _validation(plain: Mapping[str, Any]) -> Validation:
    names = ("nats_per_token", "bits_per_char", "bits_per_byte", "seconds")
    exact = plain.get("exact")  # younger than the others
    return Validation(
        int(plain["step"]), *(float(plain[name]) for name in names), *(() if exact is None else (float(exact),))
    )
