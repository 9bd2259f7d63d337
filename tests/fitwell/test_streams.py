"""Event streams of runs and studies, step by step: cuts, reconnects and the end."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

import fitwell
from fitwell.requests import OpenStream, Sleep, Yield
from tests.fitwell.samples import RUN


def execute(flow: Any, *outcomes: Any) -> list[Any]:
    """Return the steps of a flow that receives these outcomes in turn; sleeping has no outcome."""
    waiting, done = list(outcomes), [next(flow)]
    try:
        while True:
            one: Any = None if isinstance(done[-1], Sleep | Yield) else waiting.pop(0)
            done.append(flow.throw(one) if isinstance(one, Exception) else flow.send(one))
    except StopIteration:
        assert not waiting
        return done


def test_events_between_a_cut_and_the_end_are_yielded() -> None:
    cut = fitwell.Unreachable("http://x", "cut", arrived=True)
    stream = httpx2.Response(200, headers={"content-type": "text/event-stream"})
    over = httpx2.Response(200, json={"terminal": True})

    def message(number: int) -> httpx2.ServerSentEvent:
        event = {"id": number, "type": "epoch", "run_id": "run_1", "at": "", "data": {}}
        return httpx2.ServerSentEvent(event="epoch", data=json.dumps(event), id=str(number))

    followed = fitwell.Run.of(FlowTransport(), RUN).stream()
    done = execute(followed, stream, message(1), cut, over, stream, message(2), message(3), None)
    assert [one.item.id for one in done if isinstance(one, Yield)] == [1, 2, 3]
    assert [one.request.headers["last-event-id"] for one in done if isinstance(one, OpenStream)] == ["0", "1"]


def test_stream_of_a_study_ends_with_its_last_event() -> None:
    cut = fitwell.Unreachable("http://x", "cut", arrived=True)
    stream = httpx2.Response(200, headers={"content-type": "text/event-stream"})
    going_on, over = (httpx2.Response(200, json={"terminal": terminal}) for terminal in (False, True))
    begun = [
        httpx2.Response(200, json={"data": [row("run_1"), row("run_2")], "has_more": False}),
        httpx2.Response(200, json={"data": [{"id": 7}]}),
        going_on,
    ]

    def message(number: int, run_id: str, kind: str) -> httpx2.ServerSentEvent:
        event = {"id": number, "type": kind, "run_id": run_id, "at": "", "data": {}}
        return httpx2.ServerSentEvent(event=kind, data=json.dumps(event), id=str(number))

    one, other = message(8, "run_1", "run.succeeded"), message(10, "run_2", "run.failed")
    strange = message(9, "run_3", "run.failed")
    for between in ((), (cut, over, stream), (cut, going_on, stream)):
        done = execute(STUDY.stream(), *begun, stream, one, strange, *between, other, over)
        assert [step.item.id for step in done if isinstance(step, Yield)] == [8, 10]
    # The connection is cut after the last event, so the state of the study is unknown at first.
    done = execute(STUDY.stream(), *begun, stream, one, other, cut, *[cut] * 7, over)
    assert [step.item.id for step in done if isinstance(step, Yield)] == [8, 10]


def row(run_id: str, *, terminal: bool = False) -> dict[str, Any]:
    return {"id": run_id, "terminal": terminal}


@pytest.mark.parametrize(("after", "ids"), [(0, [8, 10]), (8, [10]), (10, []), (1000, [])])
def test_stream_of_a_finished_study_ends_whatever_the_first_event(after: int, ids: list[int]) -> None:
    log = [
        {"id": 8, "type": "run.succeeded", "run_id": "run_1", "at": "", "data": {}},
        {"id": 9, "type": "run.succeeded", "run_id": "run_3", "at": "", "data": {}},
        {"id": 10, "type": "run.failed", "run_id": "run_2", "at": "", "data": {}},
    ]
    rows = {"data": [row("run_1", terminal=True), row("run_2", terminal=True)], "has_more": False}
    responses = [rows, {"data": [{"id": 7}]}, {"terminal": True}, {"data": log, "has_more": False}]
    done = execute(STUDY.stream(after), *(httpx2.Response(200, json=response) for response in responses))
    assert [step.item.id for step in done if isinstance(step, Yield)] == ids


def test_stream_of_a_study_ends_although_a_run_ended_before_its_first_event() -> None:
    stream = httpx2.Response(200, headers={"content-type": "text/event-stream"})
    going_on, over = (httpx2.Response(200, json={"terminal": terminal}) for terminal in (False, True))
    rows = httpx2.Response(200, json={"data": [row("run_1", terminal=True), row("run_2")], "has_more": False})
    event = {"id": 10, "type": "run.failed", "run_id": "run_2", "at": "", "data": {}}
    last = httpx2.ServerSentEvent(event="run.failed", data=json.dumps(event), id="10")
    first = httpx2.Response(200, json={"data": [{"id": 7}]})
    done = execute(STUDY.stream(9), rows, first, going_on, stream, last, over)
    assert [step.item.id for step in done if isinstance(step, Yield)] == [10]


class FlowTransport:
    """A transport that returns the flow itself."""

    def items(self, flow: Any) -> Any:
        return flow


STUDY: Any = fitwell.Study.of(
    FlowTransport(),
    {
        "id": "study_1", "name": None, "status": "running", "terminal": False, "metric": "val.loss", "at": "last",
        "baseline": "plain", "looks": 1, "seeds": [0], "arms": [], "created_at": "",
        "progress": {"runs": 2, "by_status": {}, "epoch": 1, "epochs": 9},
    },
)  # fmt: skip
