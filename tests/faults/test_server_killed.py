"""kill -9 of the server before and after a request's commit: after a retry, the request has taken effect once."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from fitwell import NotFound, Unreachable
from tests.faults.system import SPEC, System, system
from tests.patience import scaled


class RetryingClient:
    """A client that restarts a killed server and retries its request."""

    def __init__(self, under: System) -> None:
        self.under = under
        self.deaths = 0
        self._server = under.start("service")

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON response, retrying until the server sends one."""
        while True:
            try:
                answer = self.under.client.transport.request(method, path, repeatable=False, **options)
            except Unreachable:
                assert self._server.wait(scaled(20)) == -signal.SIGKILL
                self.deaths += 1
                self._server = self.under.start("service")
            else:
                return answer.json() if answer.content else None


def test_request_interrupted_by_a_kill_takes_effect_once(database: str | None, tmp_path: Path) -> None:
    requests: list[Callable[[RetryingClient], None]] = [submit, submit_all, create, act, change, delete]
    deaths = list(product((send.__name__ for send in requests), ("before", "after")))
    with system(tmp_path / "home", database) as under:
        for order, (function, side) in enumerate(deaths):  # each server takes the next
            under.faults.plan("service", order, f"commit 1 {side} kill {function}")
        client = RetryingClient(under)
        for done, send in enumerate(requests, 1):
            send(client)
            assert client.deaths == 2 * done, "once before the commit, and once after it"
        assert [(function, side) for _, side, function in under.faults.log] == deaths


def runs_of(client: RetryingClient) -> dict[str, str]:
    """Return every run's status by id."""
    runs = client.request("GET", "/v1/runs", params={"limit": 1000})["data"]
    return {run["id"]: run["status"] for run in runs}


def created(client: RetryingClient, path: str, body: Any, runs: int) -> Any:
    """POST three times with one idempotency key, which creates ``runs`` runs; return the response."""
    key = {"idempotency-key": f"key-{client.deaths}"}
    before = runs_of(client)
    first, *others = [client.request("POST", path, json=body, headers=key) for _ in range(3)]
    assert [other["id" if "id" in other else "data"] for other in others] == [
        first["id" if "id" in first else "data"]
    ] * 2
    assert len(runs_of(client)) == len(before) + runs
    return first


def submit(client: RetryingClient) -> None:
    created(client, "/v1/runs", SPEC, 1)


def submit_all(client: RetryingClient) -> None:
    created(client, "/v1/runs/bulk", {"runs": [{**SPEC, "seed": seed} for seed in range(3)]}, 3)


def create(client: RetryingClient) -> None:
    arms = {"plain": {}, "wider": {"model": {"hidden": [32]}}}
    study = created(client, "/v1/studies", {"base": SPEC, "arms": arms, "seeds": [5, 6, 7]}, 6)
    assert study["progress"]["runs"] == 6


def act(client: RetryingClient) -> None:
    run_id = client.request("POST", "/v1/runs", json=SPEC)["id"]
    assert client.request("POST", f"/v1/runs/{run_id}/cancel")["status"] == "cancelled"
    events = client.request("GET", f"/v1/runs/{run_id}/events")["data"]
    assert [event["type"] for event in events] == ["run.created", "run.cancelled"]


def change(client: RetryingClient) -> None:
    run_id = client.request("POST", "/v1/runs", json=SPEC)["id"]
    assert client.request("PATCH", f"/v1/runs/{run_id}", json={"name": "other"})["name"] == "other"


def delete(client: RetryingClient) -> None:
    run_id = client.request("POST", "/v1/runs", json=SPEC)["id"]
    client.request("POST", f"/v1/runs/{run_id}/cancel")
    with contextlib.suppress(NotFound):  # the first server committed, and died before it responded
        client.request("DELETE", f"/v1/runs/{run_id}")
    assert run_id not in runs_of(client)
