"""The client against a real HTTP server that misbehaves as networks do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import fitwell
from fitwell import transport

RUN: dict[str, Any] = {
    "id": "run_1", "status": "running", "terminal": False, "name": None, "labels": {}, "spec": {}, "spec_hash": "",
    "reused_from": None, "seed": 0,
    "progress": {"epoch": 1, "epochs": 9, "eta_seconds": None}, "best": None, "last": {},
    "error": None, "waiting_reason": None, "created_at": "", "finished_at": None, "a_new_field": [1],
}  # fmt: skip


class Network(BaseHTTPRequestHandler):
    """Answers POST only the third time; cuts every stream after two events."""

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
        self.rfile.read(int(self.headers["content-length"]))
        self.posts.append(self.headers["idempotency-key"])
        if len(self.posts) < 3:
            self.reply(503, {"detail": "not yet", "code": "unavailable"})
        else:
            self.reply(201, RUN)

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
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[fitwell.Client]:
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0.01)
    Network.posts, Network.resumed, Network.cuts = [], [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Network) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with fitwell.Client(f"http://127.0.0.1:{server.server_port}") as connected:
            yield connected
        server.shutdown()


def test_a_retried_submit_carries_one_idempotency_key(client: fitwell.Client) -> None:
    run = client.runs.create(dataset="digits", model={"kind": "linear"}, optimizer={"kind": "sgd", "lr": 0.1})
    assert run.id == "run_1"
    assert len(Network.posts) == 3
    assert len(set(Network.posts)) == 1


def test_a_cut_stream_is_taken_up_where_it_broke_and_tells_every_event_once(client: fitwell.Client) -> None:
    run = client.runs.get("run_1")
    assert [event.id for event in run.stream()] == [1, 2, 3, 4, 5, 6, 7]
    assert Network.resumed == ["0", "2", "4", "6"]


def test_a_download_is_there_whole_or_not_at_all(client: fitwell.Client, tmp_path: Path) -> None:
    run = client.runs.get("run_1")
    path = run.download("model.onnx", tmp_path, at="last")
    assert (path, path.read_bytes(), len(Network.cuts)) == (tmp_path / "run_1-model.onnx", b"whole!", 3)
    Network.cuts = ["", "", ""]  # from now on every connection is cut
    with pytest.raises(fitwell.Unreachable):
        run.download("model.onnx", path, at="last")
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(path, b"whole!")]


def test_an_answer_of_a_newer_server_is_read(client: fitwell.Client) -> None:
    assert client.runs.get("run_1").model_dump()["a_new_field"] == [1]


def test_a_wait_that_takes_too_long_says_so(client: fitwell.Client) -> None:
    with pytest.raises(fitwell.TimedOut):
        client.runs.get("run_1").wait(0.05)


def test_no_server_is_a_sentence_with_the_command_that_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PAUSE_SECONDS", 0.01)
    with pytest.raises(fitwell.Unreachable, match="fitwell serve"):
        fitwell.Client("http://127.0.0.1:1").runs.get("x")
    command = [sys.executable, "-m", "fitwell.cli", "ls", "--url", "http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "fitwell serve" in done.stderr, "Traceback" in done.stderr) == (4, True, False)


def test_help_tells_the_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "fitwell.cli", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Exit codes" in done.stdout
