"""Writes a folder whole or not at all, and only in the place of what it wrote itself. Knows no format."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_gpt.errors import UserError
from lightning_gpt.files import sha256

LIST = "export.json"  # the folder's files, each with its fingerprint
LONGEST_LIST = 1_000_000  # bytes


@contextmanager
def new_folder(out: str | Path) -> Iterator[Path]:
    """Makes a folder beside `out` to write into, which takes its place when the block ends well.

    Whatever happens in between, `out` is what it was or the new folder, never a part of it.

    Raises:
        UserError: there is something at `out` that was not written by this function, or was changed since.
    """
    out = Path(out).resolve()
    _must_be_free(out)
    token = secrets.token_hex(4)
    temporary, before = (out.with_name(f".{out.name}.{token}.{end}") for end in ("part", "old"))
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _finish(temporary)
        if out.exists():
            out.rename(before)
        temporary.rename(out)
    finally:
        if before.exists() and not out.exists():
            before.rename(out)
        for left in (temporary, before):
            shutil.rmtree(left, ignore_errors=True)


def _finish(folder: Path) -> None:
    """Lists the files, and waits until they are on the disk."""
    (folder / LIST).write_text(json.dumps({"files": _fingerprints(folder)}, indent=2) + "\n")
    for path in folder.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def _fingerprints(folder: Path) -> dict[str, str]:
    """Computes the SHA-256 of each file, by its name."""
    return {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name != LIST}


def _must_be_free(out: Path) -> None:
    """Checks that nothing would be lost.

    Raises:
        UserError: there is a file, or a folder that holds anything but an export as it was written.
    """
    remedy = "name a folder that there is not yet, or remove it"
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file: {remedy}")
    names = {path.name for path in out.iterdir()}
    if not names:
        return
    if any(not (out / name).is_file() for name in names) or not (written := _listed(out)):
        raise UserError(f"{out} holds what no export wrote, and is not replaced: {remedy}")
    now = _fingerprints(out)
    if changed := sorted(name for name in now if now[name] != written.get(name)):
        raise UserError(f"{out / changed[0]} was added or changed since the export, which is not replaced: {remedy}")


def _listed(folder: Path) -> dict[str, str] | None:
    """Reads which files an export wrote; None where the folder has no readable list."""
    try:
        if (folder / LIST).stat().st_size > LONGEST_LIST:
            return None
        files = json.loads((folder / LIST).read_text())["files"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return files if isinstance(files, dict) else None
