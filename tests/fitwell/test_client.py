"""Both clients against a real HTTP server that fails as networks do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, assert_type

import pytest

import fitwell
from fitwell import requests
from fitwell.transport import AsyncTransport, Transport
from tests.fitwell.client_modes import WAYS, Ask, call_with
from tests.fitwell.samples import RUN

SPEC: dict[str, Any] = {"dataset": "digits", "model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.1}}


class Network(BaseHTTPRequestHandler):
    """A server that accepts the third POST only and cuts every stream after two events."""

    posts: ClassVar[list[str]] = []
    resumed: ClassVar[list[str]] = []
    cuts: ClassVar[list[str]] = []
    last_event: ClassVar[int] = 7

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        if "/predictions" in self.path:
            self.reply(200, [self.headers["content-type"], self.headers["accept"], self.chunked().decode()])
            return
        self.rfile.read(int(self.headers["content-length"]))
        self.posts.append(self.headers["idempotency-key"])
        if len(self.posts) < 3:
            self.reply(503, {"detail": "not yet", "code": "unavailable"})
        else:
            self.reply(201, RUN)

    def chunked(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        return content

    def do_GET(self) -> None:
        if self.path.endswith("/model.onnx?at=last"):
            self.cuts.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "6")
            self.end_headers()
            self.wfile.write(b"whole!" if len(self.cuts) == 3 else b"cu")
            return
        if not self.path.endswith("/events"):
            over = bool(self.resumed) and int(self.resumed[-1]) + 2 >= self.last_event
            self.reply(200, {**RUN, "terminal": over, "status": "succeeded" if over else "running"})
            return
        after = int(self.headers["last-event-id"])
        self.resumed.append(str(after))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number in range(after + 1, min(after + 2, self.last_event) + 1):
            event = {"id": number, "type": "epoch", "run_id": "run_1", "at": "", "data": {}}
            self.wfile.write(f"event: epoch\nid: {number}\ndata: {json.dumps(event)}\n\n: comment\n\n".encode())
        self.wfile.write(b'event: epoch\nid: 99\ndata: {"cut')  # in the middle of a message


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.01)
    Network.posts, Network.resumed, Network.cuts = [], [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Network) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=[*WAYS, "is awaited on trio"])
def ask(request: pytest.FixtureRequest, url: str) -> Ask:
    return call_with(request.param, url)


def test_retried_submit_sends_one_idempotency_key(ask: Ask) -> None:
    assert ask(lambda client: client.runs.create(**SPEC)).id == "run_1"
    assert len(Network.posts) == 3
    assert len(set(Network.posts)) == 1


def test_cut_stream_resumes_and_yields_every_event_once(ask: Ask) -> None:
    events = ask(lambda client: client.runs.get("run_1"), lambda run: run.stream())
    assert [event.id for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert Network.resumed == ["0", "2", "4", "6", "7"]


def test_download_is_atomic(ask: Ask, tmp_path: Path) -> None:
    def download(to: Path) -> Any:
        return ask(lambda client: client.runs.get("run_1"), lambda run: run.download("model.onnx", to, at="last"))

    path = download(tmp_path)
    assert (path, path.read_bytes(), len(Network.cuts)) == (tmp_path / "run_1-model.onnx", b"whole!", 3)
    Network.cuts = ["", "", ""]  # from now on every connection is cut
    with pytest.raises(fitwell.Unreachable):
        download(path)
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(path, b"whole!")]


def test_file_is_sent_and_the_answer_stored(ask: Ask, tmp_path: Path) -> None:
    rows, out = tmp_path / "new.csv", tmp_path / "out.parquet"
    rows.write_text("a,b\n1,2\n")
    path = ask(lambda client: client.runs.get("run_1"), lambda run: run.predict_file(rows, out))
    assert json.loads(path.read_bytes()) == ["text/csv", "application/vnd.apache.parquet", "a,b\n1,2\n"]


def test_unknown_fields_of_a_newer_server_are_kept(ask: Ask) -> None:
    run = ask(lambda client: client.runs.get("run_1"))
    assert (run.model_dump()["a_new_field"], run.a_new_field, run["a_new_field"]) == ([1], [1], [1])


def test_wait_raises_after_its_timeout(ask: Ask) -> None:
    with pytest.raises(fitwell.TimedOut):
        ask(lambda client: client.runs.get("run_1"), lambda run: run.wait(0.05))


def test_methods_are_typed_for_both_clients(url: str) -> None:
    """mypy checks the types, because it checks this file."""
    with fitwell.Client(url) as client:
        run = assert_type(client.runs.get("run_1"), fitwell.Run[Transport])
        assert assert_type(run.refresh().status, str) == "running"
        events = assert_type(run.stream(), Iterator[fitwell.Event])
        assert assert_type(next(events), fitwell.Event).id == 1

    async def types(client: fitwell.AsyncClient) -> None:
        run = assert_type(await client.runs.get("run_1"), fitwell.AsyncRun)
        assert_type(await run.history, fitwell.History)
        assert_type(await run.wait(), fitwell.Run[AsyncTransport])

    assert types.__name__ == "types"
