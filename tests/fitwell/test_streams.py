"""Event streams of runs and studies, step by step: cuts, reconnects and the end."""

from __future__ import annotations

import json
from typing import Any

import httpx2

import fitwell
from fitwell.requests import OpenStream, Sleep, Yield
from tests.fitwell.samples import RUN


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
