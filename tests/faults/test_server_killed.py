"""kill -9 of the server before and after the commit of what it was asked for: asked again, it is done once."""

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


class Asking:
    """Asks a server that dies of it, and asks again once it is back."""

    def __init__(self, under: System) -> None:
        self.under = under
        self.deaths = 0
        self._server = under.start("service")

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The answer, whenever there is one; JSON."""
        while True:
            try:
                answer = self.under.client.transport.request(method, path, repeatable=False, **options)
            except Unreachable:
                assert self._server.wait(scaled(20)) == -signal.SIGKILL
                self.deaths += 1
                self._server = self.under.start("service")
            else:
                return answer.json() if answer.content else None


def test_a_request_whose_server_died_is_done_once(database: str | None, tmp_path: Path) -> None:
    asked: list[Callable[[Asking], None]] = [submit, submit_all, create, act, change, delete]
    deaths = list(product((ask.__name__ for ask in asked), ("before", "after")))
    with system(tmp_path / "home", database) as under:
        for order, (function, side) in enumerate(deaths):  # each server takes the next
            under.faults.plan("service", order, f"commit 1 {side} kill {function}")
        asking = Asking(under)
        for done, ask in enumerate(asked, 1):
            ask(asking)
            assert asking.deaths == 2 * done, "once before the commit, and once after it"
        assert [(function, side) for _, side, function in under.faults.log] == deaths


def runs_of(asking: Asking) -> dict[str, str]:
    """Every run's status, by id."""
    runs = asking.request("GET", "/v1/runs", params={"limit": 1000})["data"]
    return {run["id"]: run["status"] for run in runs}


def made(asking: Asking, path: str, body: Any, runs: int) -> Any:
    """The answer to a POST that makes ``runs`` runs, asked twice more under its key."""
    key = {"idempotency-key": f"key-{asking.deaths}"}
    before = runs_of(asking)
    first, *others = [asking.request("POST", path, json=body, headers=key) for _ in range(3)]
    assert [other["id" if "id" in other else "data"] for other in others] == [
        first["id" if "id" in first else "data"]
    ] * 2
    assert len(runs_of(asking)) == len(before) + runs
    return first


def submit(asking: Asking) -> None:
    made(asking, "/v1/runs", SPEC, 1)


def submit_all(asking: Asking) -> None:
    made(asking, "/v1/runs/bulk", {"runs": [{**SPEC, "seed": seed} for seed in range(3)]}, 3)


def create(asking: Asking) -> None:
    arms = {"plain": {}, "wider": {"model": {"hidden": [32]}}}
    study = made(asking, "/v1/studies", {"base": SPEC, "arms": arms, "seeds": [5, 6, 7]}, 6)
    assert study["progress"]["runs"] == 6


def act(asking: Asking) -> None:
    run_id = asking.request("POST", "/v1/runs", json=SPEC)["id"]
    assert asking.request("POST", f"/v1/runs/{run_id}/cancel")["status"] == "cancelled"
    events = asking.request("GET", f"/v1/runs/{run_id}/events")["data"]
    assert [event["type"] for event in events] == ["run.created", "run.cancelled"]


def change(asking: Asking) -> None:
    run_id = asking.request("POST", "/v1/runs", json=SPEC)["id"]
    assert asking.request("PATCH", f"/v1/runs/{run_id}", json={"name": "other"})["name"] == "other"


def delete(asking: Asking) -> None:
    run_id = asking.request("POST", "/v1/runs", json=SPEC)["id"]
    asking.request("POST", f"/v1/runs/{run_id}/cancel")
    with contextlib.suppress(NotFound):  # the first did it, and died before it said so
        asking.request("DELETE", f"/v1/runs/{run_id}")
    assert run_id not in runs_of(asking)
