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


def response(status: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, json={"detail": "no", "code": "unavailable"})


def execute(request: Request, *responses: httpx2.Response | fitwell.Unreachable) -> list[Any]:
    """Return the steps of a flow that receives these responses, and its result or error."""
    flow = send(request)
    done: list[Any] = [next(flow)]
    waiting = list(responses)
    try:
        while True:
            outcome: Any = waiting.pop(0) if isinstance(done[-1], Send) else None
            done.append(flow.throw(outcome) if isinstance(outcome, Exception) else flow.send(outcome))
    except StopIteration as end:
        return [*done, end.value]
    except fitwell.FitwellError as error:
        return [*done, error]


@pytest.mark.parametrize("retry_after", ["7", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_retry_after_delays_the_retry(retry_after: str) -> None:
    done = execute(Request("GET", "/"), response(503, **{"retry-after": retry_after}), response(200))
    if retry_after == "7":
        assert [type(one) for one in done] == [Send, Sleep, Send, httpx2.Response]
        assert done[1].seconds == 7
    else:
        assert isinstance(done[-1], fitwell.errors.Unavailable)
        assert (len(done), (done[-1].retry_after or 0) > 1e9) == (2, True)


def test_long_retry_after_is_raised_instead_of_waited_for() -> None:
    full = httpx2.Response(429, headers={"retry-after": "6"}, json={"detail": "no room", "code": "quota_exceeded"})
    done = execute(Request("POST", "/v1/runs", json={}), full, full)
    assert [one.seconds for one in done if isinstance(one, Sleep)] == [6]
    assert isinstance(done[-1], fitwell.errors.QuotaExceeded)
    assert done[-1].retry_after == 6


def test_query_in_the_path_is_sent() -> None:
    with httpx2.Client(base_url="http://server") as client:
        for request, query in (
            (Request("GET", "/v1/runs?limit=7"), b"limit=7"),
            (Request("GET", "/v1/runs", params={"limit": 8}), b"limit=8"),
        ):
            assert client.build_request(request.method, request.path, **httpx_options(request)).url.query == query


def test_delays_between_retries_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_TRIES", 7)
    monkeypatch.setattr(requests, "BACKOFF_SECONDS", 0.1)
    done = execute(Request("GET", "/"), *[response(503)] * 7)
    pauses = [one.seconds for one in done if isinstance(one, Sleep)]
    assert len(pauses) == 6
    assert pauses == sorted(pauses)
    assert isinstance(done[-1], fitwell.errors.Unavailable)


def test_unrepeatable_request_is_retried_only_if_it_cannot_have_reached_the_server() -> None:
    once = Request("POST", "/v1/tokens", json={}, repeatable=False)
    cut = fitwell.Unreachable("http://x", "cut", arrived=True)
    unreachable = fitwell.Unreachable("http://x", "connection refused")
    assert execute(once, cut)[-1] is cut
    assert execute(once, response(502))[-1].status == 502
    assert execute(once, unreachable, response(503), response(201))[-1].status_code == 201
    assert execute(Request("POST", "/v1/runs", json={}), cut, response(502), response(201))[-1].status_code == 201


def test_patient_request_outlasts_a_restart_of_the_server() -> None:
    unreachable, done = fitwell.Unreachable("http://x", "connection refused"), httpx2.Response(200, json=RUN)
    for tries, patient in ((4, False), (8, True)):
        request = Request("GET", "/v1/runs/run_1", patient=patient)
        assert execute(request, *[unreachable] * (tries - 1), done)[-1] is done
        assert execute(request, *[unreachable] * tries)[-1] is unreachable
    paused = sum(one.seconds for one in execute(request, *[unreachable] * 8) if isinstance(one, Sleep))
    assert paused > 15
