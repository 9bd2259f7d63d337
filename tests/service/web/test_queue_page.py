"""The page of the queue: claim order, estimates and workers."""

from __future__ import annotations

import re
from dataclasses import replace

from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured


def queue(client: TestClient) -> str:
    answer = client.get("/queue", headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return answer.text


def listed(page: str) -> list[str]:
    """Return the names of the runs on the page, in order."""
    return re.findall(r'class="row-link" href="/runs/[^"]+">([^<]+)</a>', page)


def test_empty_queue_names_the_command_that_starts_a_worker(client: TestClient) -> None:
    page = queue(client)
    for text in ("No run trains.", "No run waits.", "fitwell worker"):
        assert text in page


def test_runs_are_listed_in_the_order_in_which_workers_claim_them(client: TestClient, work: Jobs) -> None:
    for seed, (name, priority) in enumerate([("first", 0), ("second", 0), ("urgent", 5), ("last", -1)]):
        client.post("/v1/runs", json=body(name=name, priority=priority, seed=seed))
    assert listed(queue(client)) == ["urgent", "first", "second", "last"]
    claimed = []
    for _ in range(4):
        (claim,) = work.claim(WORKER, limit=1)
        claimed.append(client.get(f"/v1/runs/{claim.run_id}").json()["name"])
    assert claimed == ["urgent", "first", "second", "last"]


def test_running_runs_come_first_and_paused_ones_have_no_position(client: TestClient, work: Jobs) -> None:
    for seed, name in enumerate(("running", "paused", "next")):
        client.post("/v1/runs", json=body(name=name, seed=seed))
    (first,) = work.claim(WORKER, limit=1)
    work.started([first], device="cpu", determinism_class="test")
    work.record([first], [measured(first.run_id, 1)])
    paused = client.get("/v1/runs?name=paused").json()["data"][0]["id"]
    assert client.post(f"/v1/runs/{paused}/cancel").status_code == 202
    page = queue(client)
    assert listed(page) == ["running", "next"]
    assert re.findall(r'data-label="Position">([^<]+)<', page) == ["1"]


def test_estimates_grow_along_the_queue_and_need_a_live_worker(client: TestClient, work: Jobs) -> None:
    for seed in range(3):
        client.post("/v1/runs", json=body(seed=seed, epochs=1000))
    pattern = r'data-label="Ends in at most about">([^<]+)<'
    assert re.findall(pattern, queue(client)) == ["–"] * 3
    work.register(replace(WORKER, host="lab-<1>"))
    page = queue(client)
    assert "lab-&lt;1&gt;" in page
    seconds = [float(text.split()[0]) for text in re.findall(pattern, page) if text.endswith(" s")]
    assert seconds == sorted(seconds)


def test_runs_of_the_caller_can_be_cancelled_and_reordered(client: TestClient, work: Jobs) -> None:
    ids = [client.post("/v1/runs", json=body(name=name, priority=3)).json()["id"] for name in ("first", "second")]
    (claim,) = work.claim(WORKER, limit=1)
    page = queue(client)
    assert re.findall(r'data-cancel="([^"]+)"', page) == [claim.run_id, ids[1]]
    assert re.findall(r'data-priority="([^"]+)"\s+value="3"', page) == [ids[1]]
