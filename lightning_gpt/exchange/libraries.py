"""Imports the libraries of other programs' formats, only when a format needs them."""

from importlib import import_module
from typing import Any

from lightning_gpt.errors import UserError


def library(name: str) -> Any:
    """Imports a library of the extra `export`.

    Raises:
        UserError: it is not installed, or can't be imported.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise UserError(
            f"this needs the package {package}, which can't be imported ({error}): make setup-export, "
            "or pip install -e '.[export]'"
        ) from error
