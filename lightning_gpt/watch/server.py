"""Serves a run's page and state to this machine alone.

Other users of the machine, and other pages in the user's own browser, can reach the server, too. So whatever is of a
run, and the request to stop one, needs a key that is made anew each time and stands in the printed address behind the
#, which a browser sends to nobody; and a request must name this server as its host, which a page that had its own name
resolved to this machine (DNS rebinding) does not.
"""

import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lightning_gpt.errors import UserError
from lightning_gpt.runs.stop import ask_to_stop
from lightning_gpt.watch.page import page
from lightning_gpt.watch.state import Watched

ADDRESS = "127.0.0.1"
FRESH = 1.0  # seconds that a state is good for, however many ask for it
LONGEST = 10_000  # bytes of a request's body
PICTURE = re.compile("/picture/([0-9]{1,4})")
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(ThreadingHTTPServer):
    """Serves the run in whichever folder `find` returns at the time.

    Args:
        find: returns a run's folder, or raises UserError where there is none.
        port: to serve at; 0: any that is free.
        program: see `Watched`.

    Raises:
        UserError: the port can't be had.
    """

    allow_reuse_address = sys.platform != "win32"  # where it would share the port with whoever has it

    def __init__(self, find: Callable[[], Path], port: int, program: str) -> None:
        if not 0 <= port < 2**16:
            raise UserError(f"--port takes a number from 0 to 65535, not {port}")
        try:
            super().__init__((ADDRESS, port), Handler)
        except OSError as error:
            remedy = "give another with --port, or 0 for any that is free"
            raise UserError(f"can't serve at port {port} ({error.strerror or error}): {remedy}") from error
        self.key = secrets.token_urlsafe(16)
        self.page, self.policy = page()
        self._find, self._program = find, program
        self._lock = threading.Lock()
        self._watched: Watched | None = None
        self._state: dict[str, Any] = {}
        self._read_at = -FRESH

    @property
    def hosts(self) -> tuple[str, ...]:
        """What a browser calls this server."""
        return tuple(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    @property
    def address(self) -> str:
        """The page's address, key and all."""
        return f"http://{ADDRESS}:{self.server_port}/#{self.key}"

    def state(self) -> dict[str, Any]:
        """Describes how the run stands.

        Raises:
            UserError: there is none.
        """
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH:
                self._state = self._current().state()
                self._read_at = time.monotonic()
            return self._state

    def picture(self, number: int) -> bytes | None:
        """Returns one of the pictures in the state, see `Watched.picture`."""
        with self._lock:
            return self._watched.picture(number) if self._watched is not None else None

    def stop(self, folder: str) -> None:
        """Asks the run that the page shows to stop.

        Raises:
            UserError: it does not run, or another run is newer than what the page shows.
            OSError: it can't be asked.
        """
        with self._lock:
            watched = self._current()
            self._read_at = -FRESH
            if str(watched.folder) != folder:
                raise UserError("another run has begun: look at that first")
            if watched.state()["status"] not in ("running", "stopping"):
                raise UserError("the run does not run any more")
            ask_to_stop(watched.folder)

    def _current(self) -> Watched:
        folder = self._find()
        if self._watched is None or self._watched.folder != folder:
            self._watched = Watched(folder, self._program)
        return self._watched

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Is silent about a browser that has gone away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request. There are these addresses and no others: /, /state, /picture/N, and /stop by POST."""

    server: Server
    timeout = 10  # seconds that a request may take to come
    server_version, sys_version = "lightning-gpt", ""
    error_message_format, error_content_type = "%(message)s\n", "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        """Sends the page, the state, or a picture."""
        picture = PICTURE.fullmatch(self.path)
        if not self._is_meant():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path == "/":
            self._send(self.server.page, "text/html; charset=utf-8", {"Content-Security-Policy": self.server.policy})
        elif self.path != "/state" and picture is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not self._has_key():
            self.send_error(HTTPStatus.FORBIDDEN)
        elif picture is None:
            self._answer(self.server.state)
        elif (found := self.server.picture(int(picture[1]))) is not None:
            self._send(found, "image/png")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Asks the run whose folder is the body to stop."""
        length = self.headers.get("Content-Length", "")
        if not self._is_meant():
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path != "/stop":
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not self._has_key():
            self.send_error(HTTPStatus.FORBIDDEN)
        elif not re.fullmatch("[0-9]{1,5}", length) or int(length) > LONGEST:
            self.send_error(HTTPStatus.BAD_REQUEST)
        else:
            folder = self.rfile.read(int(length)).decode(errors="replace")
            self._answer(lambda: self.server.stop(folder))

    def _is_meant(self) -> bool:
        """Returns whether the request names this server as its host."""
        return self.headers.get_all("Host", []) in [[host] for host in self.server.hosts]

    def _has_key(self) -> bool:
        return secrets.compare_digest(self.headers.get("X-Key", "").encode(errors="replace"), self.server.key.encode())

    def _answer(self, ask: Callable[[], Any]) -> None:
        """Sends what `ask` returns as JSON, or what it complains of."""
        try:
            answer, status = ask(), HTTPStatus.OK
        except (UserError, OSError) as error:
            answer, status = {"error": str(error)}, HTTPStatus.CONFLICT
        self._send(json.dumps(answer, allow_nan=False).encode(), "application/json", status=status)

    def _send(
        self, contents: bytes, kind: str, headers: dict[str, str] | None = None, status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        self.wfile.write(contents)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the page asks every other second."""
