"""Addresses that are malformed, unreachable, or of another kind of server."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

import fitwell
from fitwell import requests
from tests.fitwell.client_modes import WAYS, call_with


class OtherServer(BaseHTTPRequestHandler):
    """A server that is not Fitwell."""

    answer: ClassVar[tuple[int, dict[str, str], bytes]]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        status, headers, content = self.answer
        self.send_response(status)
        for name, value in {"content-length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


RESPONSES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "a page": (200, {"content-type": "text/html"}, b"<html>Welcome</html>"),
    "other JSON": (200, {"content-type": "application/json"}, b'{"hello": ["world"]}'),
    "a list": (200, {"content-type": "application/json"}, b"[]"),
    "no text": (200, {"content-type": "application/json"}, b"\xff\xfe{"),
    "another address": (308, {"location": "https://elsewhere.example/v1/runs"}, b""),
    "what is not zipped": (200, {"content-encoding": "gzip"}, b"plain"),
}


@pytest.mark.parametrize("what", RESPONSES)
@pytest.mark.parametrize("way", WAYS)
def test_other_servers_are_reported_as_incompatible(what: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.01)
    OtherServer.answer = RESPONSES[what]
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherServer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        ask = call_with(way, f"http://127.0.0.1:{server.server_port}")
        for question in (
            lambda c: c.runs.get("r"),
            lambda c: c.runs.list(),
            lambda c: c.studies.get("s"),
            lambda c: c.catalog(),
        ):
            with pytest.raises((fitwell.Misunderstood, fitwell.Unreachable)) as caught:
                ask(question)
            assert str(server.server_port) in str(caught.value)
        if what == "another address":
            assert "elsewhere.example" in str(caught.value)
        server.shutdown()


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://x", "fit.example", "http://a\nb"])
def test_malformed_address_or_token_is_refused_before_anything_is_sent(address: str) -> None:
    with pytest.raises(fitwell.BadAddress, match="such as http://127"):
        fitwell.Client(address)
    with pytest.raises(fitwell.BadAddress, match="fw_"):
        fitwell.AsyncClient("http://127.0.0.1:1", "ä" + address)


def test_newline_at_the_end_of_a_token_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITWELL_TOKEN", "fw_secret\n")
    with fitwell.Client() as client:
        assert client.transport._http.headers["authorization"] == "Bearer fw_secret"


@pytest.mark.slow
def test_unreachable_server_is_reported_with_the_command_that_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.01)
    for way in WAYS:
        with pytest.raises(fitwell.Unreachable, match="fitwell serve"):
            call_with(way, "http://127.0.0.1:1")(lambda client: client.runs.get("x"))
    program = "from fitwell import cli, requests; requests.BACKOFF_SECONDS = 0.01; cli.main()"
    command = [sys.executable, "-c", program, "ls", "--url", "http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "fitwell serve" in done.stderr, "Traceback" in done.stderr) == (4, True, False)


@pytest.mark.slow
def test_help_lists_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "fitwell.cli", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Exit codes" in done.stdout
