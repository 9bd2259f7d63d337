"""Both clients against a real HTTP server that misbehaves as networks do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, assert_type

import httpx2
import pytest

import fitwell
from fitwell import requests
from fitwell.execution import httpx_options
from fitwell.requests import OpenStream, Request, Send, Sleep, Yield, send
from fitwell.transport import AsyncTransport, Transport
from tests.fitwell.client_modes import WAYS, Ask, asking

RUN: dict[str, Any] = {
    "id": "run_1", "status": "running", "terminal": False, "name": None, "labels": {}, "spec": {}, "spec_hash": "",
    "reused_from": None, "seed": 0,
    "progress": {"epoch": 1, "epochs": 9, "eta_seconds": None}, "best": None, "last": {},
    "error": None, "waiting_reason": None, "created_at": "", "finished_at": None, "a_new_field": [1],
}  # fmt: skip
SPEC: dict[str, Any] = {"dataset": "digits", "model": {"kind": "linear"}, "optimizer": {"kind": "sgd", "lr": 0.1}}


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
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.01)
    Network.posts, Network.resumed, Network.cuts = [], [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Network) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=[*WAYS, "is awaited on trio"])
def ask(request: pytest.FixtureRequest, url: str) -> Ask:
    return asking(request.param, url)


def test_a_retried_submit_carries_one_idempotency_key(ask: Ask) -> None:
    assert ask(lambda client: client.runs.create(**SPEC)).id == "run_1"
    assert len(Network.posts) == 3
    assert len(set(Network.posts)) == 1


def test_a_cut_stream_is_taken_up_where_it_broke_and_tells_every_event_once(ask: Ask) -> None:
    told = ask(lambda client: client.runs.get("run_1"), lambda run: run.stream())
    assert [event.id for event in told] == [1, 2, 3, 4, 5, 6, 7]
    assert Network.resumed == ["0", "2", "4", "6", "7"]


def test_a_download_is_there_whole_or_not_at_all(ask: Ask, tmp_path: Path) -> None:
    def download(to: Path) -> Any:
        return ask(lambda client: client.runs.get("run_1"), lambda run: run.download("model.onnx", to, at="last"))

    path = download(tmp_path)
    assert (path, path.read_bytes(), len(Network.cuts)) == (tmp_path / "run_1-model.onnx", b"whole!", 3)
    Network.cuts = ["", "", ""]  # from now on every connection is cut
    with pytest.raises(fitwell.Unreachable):
        download(path)
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(path, b"whole!")]


def test_an_answer_of_a_newer_server_is_read(ask: Ask) -> None:
    run = ask(lambda client: client.runs.get("run_1"))
    assert (run.model_dump()["a_new_field"], run.a_new_field, run["a_new_field"]) == ([1], [1], [1])


def test_a_wait_that_takes_too_long_says_so(ask: Ask) -> None:
    with pytest.raises(fitwell.TimedOut):
        ask(lambda client: client.runs.get("run_1"), lambda run: run.wait(0.05))


def test_type_checkers_know_what_either_client_answers(url: str) -> None:
    """The types are held by mypy, which reads this file."""
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


def said(status: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, json={"detail": "no", "code": "unavailable"})


def steps_of(request: Request, *answers: httpx2.Response | fitwell.Unreachable) -> list[Any]:
    """What a plan does, given these answers: the steps, and its result or refusal."""
    plan = send(request)
    done: list[Any] = [next(plan)]
    waiting = list(answers)
    try:
        while True:
            came: Any = waiting.pop(0) if isinstance(done[-1], Send) else None
            done.append(plan.throw(came) if isinstance(came, Exception) else plan.send(came))
    except StopIteration as end:
        return [*done, end.value]
    except fitwell.FitwellError as error:
        return [*done, error]


@pytest.mark.parametrize("asked", ["7", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_server_that_says_when_to_come_back_is_asked_then_and_not_before(asked: str) -> None:
    done = steps_of(Request("GET", "/"), said(503, **{"retry-after": asked}), said(200))
    if asked == "7":
        assert [type(one) for one in done] == [Send, Sleep, Send, httpx2.Response]
        assert done[1].seconds == 7
    else:
        assert isinstance(done[-1], fitwell.errors.Unavailable)
        assert (len(done), (done[-1].retry_after or 0) > 1e9) == (2, True)


def test_nobody_waits_for_long_without_hearing_why() -> None:
    full = httpx2.Response(429, headers={"retry-after": "6"}, json={"detail": "no room", "code": "quota_exceeded"})
    done = steps_of(Request("POST", "/v1/runs", json={}), full, full)
    assert [one.seconds for one in done if isinstance(one, Sleep)] == [6]
    assert isinstance(done[-1], fitwell.errors.QuotaExceeded)
    assert done[-1].retry_after == 6


def test_a_query_that_stands_in_the_path_is_sent() -> None:
    with httpx2.Client(base_url="http://server") as client:
        for request, query in (
            (Request("GET", "/v1/runs?limit=7"), b"limit=7"),
            (Request("GET", "/v1/runs", params={"limit": 8}), b"limit=8"),
        ):
            assert client.build_request(request.method, request.path, **httpx_options(request)).url.query == query


def test_every_pause_is_longer_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_TRIES", 7)
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.1)
    done = steps_of(Request("GET", "/"), *[said(503)] * 7)
    pauses = [one.seconds for one in done if isinstance(one, Sleep)]
    assert len(pauses) == 6
    assert pauses == sorted(pauses)
    assert isinstance(done[-1], fitwell.errors.Unavailable)


def test_what_would_be_made_twice_is_sent_again_only_where_it_cannot_have_arrived() -> None:
    once = Request("POST", "/v1/tokens", json={}, repeatable=False)
    cut = fitwell.Unreachable("http://x", "cut", arrived=True)
    absent = fitwell.Unreachable("http://x", "nobody there")
    assert steps_of(once, cut)[-1] is cut
    assert steps_of(once, said(502))[-1].status == 502
    assert steps_of(once, absent, said(503), said(201))[-1].status_code == 201
    assert steps_of(Request("POST", "/v1/runs", json={}), cut, said(502), said(201))[-1].status_code == 201


def course(plan: Any, *came: Any) -> list[Any]:
    """What a plan does, given what comes of its steps one after the other; a pause has no outcome."""
    waiting, done = list(came), [next(plan)]
    try:
        while True:
            one: Any = None if isinstance(done[-1], Sleep | Yield) else waiting.pop(0)
            done.append(plan.throw(one) if isinstance(one, Exception) else plan.send(one))
    except StopIteration:
        assert not waiting
        return done


def test_what_happened_between_a_cut_and_the_end_is_told_too() -> None:
    cut = fitwell.Unreachable("http://x", "cut", arrived=True)
    stream = httpx2.Response(200, headers={"content-type": "text/event-stream"})
    over = httpx2.Response(200, json={"terminal": True})

    def message(number: int) -> httpx2.ServerSentEvent:
        event = {"id": number, "type": "epoch", "run_id": "run_1", "at": "", "data": {}}
        return httpx2.ServerSentEvent(event="epoch", data=json.dumps(event), id=str(number))

    followed = fitwell.Run.of(Handing(), RUN).stream()
    done = course(followed, stream, message(1), cut, over, stream, message(2), message(3), None)
    assert [one.item.id for one in done if isinstance(one, Yield)] == [1, 2, 3]
    assert [one.request.headers["last-event-id"] for one in done if isinstance(one, OpenStream)] == ["0", "1"]


def test_a_study_is_followed_to_its_last_event_and_no_further() -> None:
    cut = fitwell.Unreachable("http://x", "cut", arrived=True)
    stream = httpx2.Response(200, headers={"content-type": "text/event-stream"})
    going_on, over = (httpx2.Response(200, json={"terminal": terminal}) for terminal in (False, True))
    begun = [
        httpx2.Response(200, json={"data": [{"id": "run_1"}, {"id": "run_2"}], "has_more": False}),
        httpx2.Response(200, json={"data": [{"id": 7}]}),
    ]

    def message(number: int, run_id: str, kind: str) -> httpx2.ServerSentEvent:
        event = {"id": number, "type": kind, "run_id": run_id, "at": "", "data": {}}
        return httpx2.ServerSentEvent(event=kind, data=json.dumps(event), id=str(number))

    one, other = message(8, "run_1", "run.succeeded"), message(10, "run_2", "run.failed")
    strange = message(9, "run_3", "run.failed")
    for between in ((), (cut, over, stream), (cut, going_on, stream)):
        done = course(STUDY.stream(), *begun, stream, one, strange, *between, other, over)
        assert [step.item.id for step in done if isinstance(step, Yield)] == [8, 10]
    # The last event has come; whether that is all cannot be asked at once.
    done = course(STUDY.stream(), *begun, stream, one, other, cut, *[cut] * 7, over)
    assert [step.item.id for step in done if isinstance(step, Yield)] == [8, 10]


class Handing:
    """A transport that hands over the plan."""

    def items(self, plan: Any) -> Any:
        return plan


STUDY: Any = fitwell.Study.of(
    Handing(),
    {
        "id": "study_1", "name": None, "status": "running", "terminal": False, "metric": "val.loss", "at": "last",
        "baseline": "plain", "looks": 1, "seeds": [0], "arms": [], "created_at": "",
        "progress": {"runs": 2, "by_status": {}, "epoch": 1, "epochs": 9},
    },
)  # fmt: skip


def test_who_waits_gives_a_server_the_time_to_start_again() -> None:
    absent, done = fitwell.Unreachable("http://x", "nobody there"), httpx2.Response(200, json=RUN)
    for tries, patient in ((4, False), (8, True)):
        request = Request("GET", "/v1/runs/run_1", patient=patient)
        assert steps_of(request, *[absent] * (tries - 1), done)[-1] is done
        assert steps_of(request, *[absent] * tries)[-1] is absent
    paused = sum(one.seconds for one in steps_of(request, *[absent] * 8) if isinstance(one, Sleep))
    assert paused > 15


@pytest.mark.slow
class Stranger(BaseHTTPRequestHandler):
    """Answers as some other server would."""

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


STRANGE: dict[str, tuple[int, dict[str, str], bytes]] = {
    "a page": (200, {"content-type": "text/html"}, b"<html>Welcome</html>"),
    "other JSON": (200, {"content-type": "application/json"}, b'{"hello": ["world"]}'),
    "a list": (200, {"content-type": "application/json"}, b"[]"),
    "no text": (200, {"content-type": "application/json"}, b"\xff\xfe{"),
    "another address": (308, {"location": "https://elsewhere.example/v1/runs"}, b""),
    "what is not zipped": (200, {"content-encoding": "gzip"}, b"plain"),
}


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_fitwell_server_is_told_in_a_sentence(what: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.01)
    Stranger.answer = STRANGE[what]
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        ask = asking(way, f"http://127.0.0.1:{server.server_port}")
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
def test_an_address_that_is_none_is_told_before_anything_is_sent(address: str) -> None:
    with pytest.raises(fitwell.BadAddress, match="such as http://127"):
        fitwell.Client(address)
    with pytest.raises(fitwell.BadAddress, match="fw_"):
        fitwell.AsyncClient("http://127.0.0.1:1", "ä" + address)


def test_a_token_from_a_file_may_end_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITWELL_TOKEN", "fw_secret\n")
    with fitwell.Client() as client:
        assert client.transport._http.headers["authorization"] == "Bearer fw_secret"


def test_no_server_is_a_sentence_with_the_command_that_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.01)
    for way in WAYS:
        with pytest.raises(fitwell.Unreachable, match="fitwell serve"):
            asking(way, "http://127.0.0.1:1")(lambda client: client.runs.get("x"))
    command = [sys.executable, "-m", "fitwell.cli", "ls", "--url", "http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "fitwell serve" in done.stderr, "Traceback" in done.stderr) == (4, True, False)


def test_help_tells_the_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "fitwell.cli", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Exit codes" in done.stdout
