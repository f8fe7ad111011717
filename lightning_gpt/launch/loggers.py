"""Makes the loggers that a user adds to a run's own; what they save lies in the run's folder, if nothing else is given.

A run always has its own, TensorBoard's files in its folder: they are its curves, which reports read.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from lightning_gpt.errors import UserError, in_a_line
from lightning_gpt.files import replacing

FILE = "loggers.json"  # in the run's folder: by which name each logger's own service knows the run
PACKAGES = {"WandbLogger": "wandb", "MLFlowLogger": "mlflow", "CometLogger": "comet_ml", "NeptuneLogger": "neptune"}
NAME_IN_SERVICE = {"WandbLogger": "id", "MLFlowLogger": "run_id"}  # the option that goes on with a run there
IN_THE_RUN = ""  # a folder that was not chosen
DEFAULTS = None, ".", "./mlruns"  # what Lightning's loggers take for a folder then
LONGEST = 10_000  # bytes of FILE


def spelled_out(given: Any) -> Any:
    """Completes the loggers of a configuration: one that must have a folder gets the run's, if it has none."""
    if isinstance(given, list):
        return [spelled_out(one) for one in given]
    spec = {"class_path": given} if isinstance(given, str) else given
    if not isinstance(spec, dict) or _name(spec) != "CSVLogger":
        return given
    return {**spec, "init_args": {"save_dir": IN_THE_RUN, **(spec.get("init_args") or {})}}


def typed_out(text: str) -> str:
    """Completes the loggers that are typed as an option's value."""
    try:
        given = yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # which LightningCLI refuses
    complete = spelled_out(given)
    return text if complete == given else json.dumps(complete)


def lacking(specs: list[Any]) -> Iterator[str]:
    """Yields a problem for each logger whose package is not installed."""
    for spec in specs:
        package = PACKAGES.get(_name(spec))
        if package is not None and find_spec(package) is None:
            yield f"trainer.logger {_name(spec)} needs a package that is not installed: pip install {package}"


def make(specs: list[Namespace], folder: Path, writes: bool) -> list[Logger]:
    """Makes the loggers; one that keeps runs in a service of its own goes on with the run that this folder is there.

    Args:
        specs: class_path and init_args of each.
        folder: the run's.
        writes: whether this is the rank that writes.

    Raises:
        UserError: one does not work, as where its service can't be reached.
    """
    parser = ArgumentParser()
    parser.add_argument("--logger", type=Logger)
    known = _read(folder / FILE)
    loggers: list[Logger] = []
    for spec in specs:
        spec, name = spec.clone(), _name(spec)
        options = spec.init_args
        if "save_dir" in options and options.save_dir in (IN_THE_RUN, *DEFAULTS):
            options.save_dir = str(folder)
        if name == "MLFlowLogger" and options.get("tracking_uri") is None:  # MLflow 3.17 writes to no plain folder
            options.tracking_uri = f"sqlite:///{options.save_dir}/mlflow.db"
            options.artifact_location = options.get("artifact_location") or f"{options.save_dir}/mlartifacts"
        option = NAME_IN_SERVICE.get(name)
        if option is not None and name in known and options.get(option) is None:
            options[option] = known[name]
        try:
            logger = parser.instantiate(parser.parse_object({"logger": spec.as_dict()})).logger
            if isinstance(logger, TensorBoardLogger):
                continue  # the run has its own
            loggers.append(logger)
            if writes and isinstance(logger, WandbLogger | MLFlowLogger):
                known[name] = str(logger.experiment.id if isinstance(logger, WandbLogger) else logger.run_id)
        except Exception as error:  # of a service, a network, a database
            raise UserError(f"trainer.logger {name} can't begin ({in_a_line(error)})") from error
    if writes and known:
        with replacing(folder / FILE) as file:
            file.write(json.dumps(known).encode())
    return loggers


def close(loggers: Iterable[Logger]) -> None:
    """Ends the runs of W&B, each of which a second fit of the same process would write on."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def _name(spec: Any) -> str:
    return str(spec.get("class_path", "")).rpartition(".")[2]


def _read(path: Path) -> dict[str, str]:
    """Reads which run is which in the loggers' services; nothing where the file is not as it was written."""
    with suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= LONGEST:
            known = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(known, dict) and all(isinstance(name, str) for name in known.values()):
                return known
    return {}
