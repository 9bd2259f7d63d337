"""Errors of a bucket: those that may pass, and those that waiting does not help."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.processes import free_port
from worker.blob_store import StorageOutage, StorageUnavailable
from worker.bucket import Bucket

pytestmark = pytest.mark.slow

NAME = "run_1/attempt0001-epoch000001.safetensors"
CONTENT = b"content"


class Server:
    """A server that answers every request with the current status and code of S3."""

    def __init__(self, status: int = 200, code: str = "") -> None:
        self.status, self.code = status, code
        self.cut = False
        """Whether the connection ends in the middle of the content."""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """Return the class of the handler of requests."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                success = server.status == 200
                body = CONTENT if success else f"<Error><Code>{server.code}</Code></Error>".encode()
                self.send_response(206 if success and self.command == "GET" else server.status)
                if success:
                    self.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
                    self.send_header("Last-Modified", "Sun, 29 Nov 2026 12:00:00 GMT")
                    self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:3] if server.cut else body)

            do_GET = do_PUT = answer  # noqa: N815 # names of the base class

            def log_message(self, *_: object) -> None:
                """Write nothing to standard error."""

        return Handler


@contextmanager
def served(server: Server) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), server.handler()) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield http.server_port
        http.shutdown()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    return monkeypatch


def bucket(environment: pytest.MonkeyPatch, home: Path, port: int) -> Bucket:
    environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    return Bucket(home, "s3://bucket/checkpoints", 0.2)


def error_of(store: Bucket) -> StorageUnavailable:
    with pytest.raises(StorageUnavailable) as caught:
        store.fetch(NAME, hashlib.sha256(CONTENT).hexdigest())
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "may_pass"),
    [
        (500, "InternalError", True),
        (503, "SlowDown", True),
        (429, "TooManyRequests", True),
        (408, "RequestTimeout", True),
        (400, "InvalidRequest", False),
        (401, "InvalidToken", False),
        (403, "AccessDenied", False),
        (404, "NoSuchBucket", False),
        (301, "PermanentRedirect", False),
    ],
)
def test_status_of_the_response_decides_whether_waiting_helps(
    environment: pytest.MonkeyPatch, tmp_path: Path, status: int, code: str, may_pass: bool
) -> None:
    with served(Server(status, code)) as port:
        assert isinstance(error_of(bucket(environment, tmp_path, port)), StorageOutage) == may_pass


def test_closed_port_and_cut_response_are_outages(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert isinstance(error_of(bucket(environment, tmp_path, free_port())), StorageOutage)
    server = Server()
    server.cut = True
    with served(server) as port:
        assert isinstance(error_of(bucket(environment, tmp_path, port)), StorageOutage)


def test_refused_address_is_not_an_outage(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("AWS_ALLOW_HTTP")
    assert not isinstance(error_of(bucket(environment, tmp_path, free_port())), StorageOutage)


def test_missing_credentials_are_not_an_outage(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = bucket(environment, tmp_path, free_port())
    reason = "Error performing PUT http://169.254.169.254/latest/api/token in 3s, after 8 retries - HTTP error: timeout"
    assert type(store._unavailable(reason)) is StorageUnavailable


class Patience:
    """Waits for a limited number of outages; then the server works again, or the error is raised."""

    def __init__(self, server: Server, waits: int, *, recovers: bool) -> None:
        self.errors: list[StorageOutage] = []
        self.recoveries = 0
        self._server, self._waits, self._recovers = server, waits, recovers

    def wait_out(self, error: StorageOutage) -> None:
        self.errors.append(error)
        if len(self.errors) < self._waits:
            return
        if not self._recovers:
            raise error
        self._server.status = 200

    def storage_is_back(self) -> None:
        self.recoveries += 1


@pytest.mark.parametrize("recovers", [True, False])
def test_calls_are_repeated_for_as_long_as_the_handler_waits(
    environment: pytest.MonkeyPatch, tmp_path: Path, recovers: bool
) -> None:
    names = [f"run_1/{i}.safetensors" for i in range(3)]
    (tmp_path / "run_1").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(CONTENT)
    server = Server(503, "SlowDown")
    with served(server) as port:
        store = bucket(environment, tmp_path, port)
        store.outages = patience = Patience(server, 2, recovers=recovers)
        if recovers:
            store.push_all(names)
        else:
            with pytest.raises(StorageOutage):
                store.push_all(names)
    assert (len(patience.errors), patience.recoveries) == (2, int(recovers))
    assert [(tmp_path / name).exists() for name in names] == [recovers] * 3, "a file that no row names is removed"
