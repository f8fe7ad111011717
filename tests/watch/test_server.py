"""The server tells this machine's user how a run stands, and nobody else; and asks the run that is shown to stop."""

import http.client
import json
import shutil
import socket
import threading

import pytest

from lightning_gpt import UserError
from lightning_gpt.files import locked
from lightning_gpt.runs import Result
from lightning_gpt.runs.stop import asked_to_stop
from lightning_gpt.watch import server as module
from lightning_gpt.watch.server import ADDRESS, Server


class Client:
    """Asks a server that runs in a thread."""

    def __init__(self, server):
        self.server = server

    def __call__(self, path, key=None, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection(ADDRESS, self.server.server_port, timeout=60)
        key = {"X-Key": self.server.key if key is None else key} if key != "" else {}
        connection.request(method, path, body, {**key, **headers})
        answer = connection.getresponse()
        answer.contents = answer.read()
        connection.close()
        return answer


@pytest.fixture
def folder(trained, tmp_path):
    """A run that was not finished."""
    copied = shutil.copytree(trained.run, tmp_path / "gpt" / "version_0")
    Result(max_steps=20).write(copied)
    return copied


@pytest.fixture
def ask(folder, monkeypatch):
    monkeypatch.setattr(module, "FRESH", 0.0)
    with Server(lambda: folder, 0, "lightning-gpt") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Client(server)
        server.shutdown()
        thread.join()


def test_the_page_has_nothing_of_the_run_and_may_ask_this_server_only(ask):
    page = ask("/", key="")
    policy = page.headers["Content-Security-Policy"]
    assert page.status == 200 and b"gpt/version_0" not in page.contents and ask.server.key.encode() not in page.contents
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_state_and_pictures_are_for_those_who_have_the_key(ask):
    said = json.loads(ask("/state").contents)
    assert said["name"] == "gpt/version_0" and said["status"] == "stopped"
    picture = ask("/picture/0")
    assert picture.status == 200 and picture.contents.startswith(b"\x89PNG")
    for path in ("/state", "/picture/0"):
        for key in ("", "another", "\xe9"):
            assert ask(path, key=key).status == 403


@pytest.mark.parametrize(
    "path", ["/state?", "/picture/4", "/picture/-1", "/picture/0/", "/..", "/config.yaml", "/%2e%2e/secret", "/stop"]
)
def test_there_are_no_other_addresses(ask, path):
    assert ask(path).status == 404


def test_another_name_that_leads_here_is_refused(ask):
    port = ask.server.server_port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        for path in ("/", "/state"):
            assert ask(path, Host=host).status == 421
    assert ask("/", Host=f"localhost:{port}").status == 200


def test_the_run_that_is_shown_is_asked_to_stop(ask, folder):
    with locked(folder):
        assert ask("/stop", method="POST", body=str(folder)).status == 200
        assert asked_to_stop(folder) and json.loads(ask("/state").contents)["status"] == "stopping"
        assert ask("/stop", method="POST", body=str(folder)).status == 200


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"key": ""}, 403),
        ({"key": "another"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"body": "x" * 20_000}, 400),
        ({"Content-Length": "-1"}, 400),
        ({"body": "runs/another/version_0"}, 409),
        ({"method": "PUT"}, 501),
    ],
)
def test_nobody_else_stops_it(ask, folder, options, status):
    with locked(folder):
        assert ask("/stop", **{"method": "POST", "body": str(folder), **options}).status == status
    assert not asked_to_stop(folder)


def test_a_run_that_does_not_run_is_not_stopped(ask, folder):
    answer = ask("/stop", method="POST", body=str(folder))
    assert answer.status == 409 and "does not run" in json.loads(answer.contents)["error"]
    assert not asked_to_stop(folder)


def test_a_folder_that_is_gone_is_said(ask, folder, monkeypatch):
    def gone():
        raise UserError("no run in runs/ yet")

    monkeypatch.setattr(ask.server, "_find", gone)
    answer = ask("/state")
    assert answer.status == 409 and json.loads(answer.contents) == {"error": "no run in runs/ yet"}


def test_it_is_reached_from_this_machine_alone(ask):
    assert ask.server.server_address[0] == "127.0.0.1"
    assert ask.server.address == f"http://127.0.0.1:{ask.server.server_port}/#{ask.server.key}"


def test_a_port_that_is_taken_is_said_in_a_line(ask):
    with pytest.raises(UserError, match="give another with --port"):
        Server(lambda: None, ask.server.server_port, "")


def test_a_browser_that_goes_away_is_no_news(ask, capfd):
    with socket.create_connection((ADDRESS, ask.server.server_port)) as connection:
        connection.sendall(b"GET /state HTTP/1.0\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no goodbye
    assert ask("/").status == 200
    assert capfd.readouterr().err == ""
