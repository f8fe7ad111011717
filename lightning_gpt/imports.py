"""Keeps Lightning's import from importing large packages that nothing here uses, where they happen to be installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

UNUSED = frozenset({"scipy", "torchaudio", "torchvision", "transformers"})  # what torchmetrics takes for other metrics


@contextmanager
def unused_hidden() -> Iterator[None]:
    """Says, to whatever asks inside the block, that they are not installed, unless they are imported already.

    torchmetrics, imported here, remembers it: its metrics that need them are not to be had in this process.
    With transformers beside it Lightning takes a quarter longer to import, with the others longer still.
    """
    real, hidden = metadata.version, UNUSED - sys.modules.keys()

    def version(distribution_name: str) -> str:
        if distribution_name in hidden:
            raise metadata.PackageNotFoundError(distribution_name)
        return real(distribution_name)

    metadata.version = version
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # can't be imported
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        metadata.version, hidden = real, frozenset()  # some have kept the function
