"""Retries: how often, after which delays, and for which requests."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

import fitwell
from fitwell import requests
from fitwell.execution import httpx_options
from fitwell.requests import Request, Send, Sleep, send
from tests.fitwell.samples import RUN


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


def test_who_waits_gives_a_server_the_time_to_start_again() -> None:
    absent, done = fitwell.Unreachable("http://x", "nobody there"), httpx2.Response(200, json=RUN)
    for tries, patient in ((4, False), (8, True)):
        request = Request("GET", "/v1/runs/run_1", patient=patient)
        assert steps_of(request, *[absent] * (tries - 1), done)[-1] is done
        assert steps_of(request, *[absent] * tries)[-1] is absent
    paused = sum(one.seconds for one in steps_of(request, *[absent] * 8) if isinstance(one, Sleep))
    assert paused > 15
