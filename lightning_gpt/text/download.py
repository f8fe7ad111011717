"""Downloads a text: whole, with the right checksum, within a length and a time, or not at all."""

import hashlib
import http.client
import queue
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from lightning_gpt.files import replacing
from lightning_gpt.terminal import visible

TIMEOUT = 20.0  # seconds without a byte before an address counts as out of reach
SLOWEST = 30_000  # bytes/s, on the average; who sends more slowly is given up
CHUNK = 1 << 16  # bytes
LONGEST_REASON = 200  # characters of what an address says is wrong


class OutOfReach(Exception):
    """Says why a text can't be had from an address, in one short line."""


def download(place: str, path: Path, sha256: str, most: int) -> None:
    """Copies the file at `place`, a path or a URL, to `path`.

    Args:
        place: where from.
        path: where to; left as it is where anything is wrong.
        sha256: the file's fingerprint, in hexadecimal.
        most: bytes that it may have.

    Raises:
        OutOfReach: there is no such file, or another, or it does not come in time.
    """
    try:
        url = place if "://" in place else Path(place).absolute().as_uri()
        with replacing(path) as file:
            digest = hashlib.sha256()
            for chunk in _with_progress(url, most):
                digest.update(chunk)
                file.write(chunk)
            if digest.hexdigest() != sha256:
                raise ValueError(f"its SHA-256 is not {sha256[:12]}…")
    # URLError is an OSError, a bad address a ValueError, a broken answer an HTTPException
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        said = " ".join(visible(str(reason)).split())
        short = f"{said[:LONGEST_REASON]}…" if len(said) > LONGEST_REASON else said
        raise OutOfReach(f"{place}: {short or type(error).__name__}") from error


def _with_progress(url: str, most: int) -> Iterator[bytes]:
    """Yields what is at the address, `most` bytes in the time for as many; shows a progress bar.

    Raises:
        ValueError: there is more.
        TimeoutError: it takes longer.
    """
    from tqdm import tqdm

    size = 0
    local = url.startswith("file:")
    with tqdm(desc=url, total=most, unit="B", unit_scale=True, delay=1.0, leave=False, disable=local) as bar:
        for chunk in _in_time(url, TIMEOUT + most / SLOWEST):
            bar.update(len(chunk))
            size += len(chunk)
            if size > most:
                raise ValueError(f"it has more than {most:,} bytes")
            yield chunk


def _in_time(url: str, seconds: float) -> Iterator[bytes]:
    """Yields what is at the address; it is read in a thread, for a timeout of a socket bounds a single read only.

    Raises:
        TimeoutError: it takes longer.
    """
    chunks: queue.Queue[bytes | Exception] = queue.Queue(maxsize=4)  # when nobody takes them the thread waits for good
    threading.Thread(target=_read, args=(url, chunks), daemon=True).start()
    end = time.monotonic() + seconds
    while True:
        try:
            chunk = chunks.get(timeout=max(end - time.monotonic(), 0.0))
        except queue.Empty:
            raise TimeoutError(f"it did not come within {seconds:.0f} s") from None
        if isinstance(chunk, Exception):
            raise chunk
        if not chunk:
            return
        yield chunk


def _read(url: str, chunks: "queue.Queue[bytes | Exception]") -> None:
    """Puts what is at the address into the queue, then b"", or what went wrong."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as stream:
            while chunk := stream.read1(CHUNK):
                chunks.put(chunk)
        chunks.put(b"")
    except Exception as error:  # raised where it is waited for
        chunks.put(error)
