"""The reason why a run ended."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from worker.ports import Outcome

PATIENT = {"kind": "early_stopping", "metric": "train.loss", "patience": 7}
LOW = {"kind": "train_loss_below", "threshold": 0.25}
STEPS = {"kind": "max_steps", "steps": 3}


def end(client: TestClient, work: Jobs, stop: list[Any], epochs: int, **outcome: Any) -> Any:
    """Train a run of three epochs for ``epochs``, and return why it ended."""
    run_id = client.post("/v1/runs?reuse=false", json={**BODY, "epochs": 3, "stop": stop}).json()["id"]
    assert client.get(f"/v1/runs/{run_id}").json()["ended"] is None
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="cpu/test")
    for epoch in range(1, epochs + 1):
        work.record([claim], [measured(run_id, epoch)])
    work.finish([claim], [Outcome(run_id=run_id, **{"status": "succeeded", **outcome})])
    return client.get(f"/v1/runs/{run_id}").json()["ended"]


def test_stop_rule_that_the_worker_reports_is_returned(client: TestClient, work: Jobs) -> None:
    ended = end(client, work, [LOW, PATIENT], 2, rule=1)
    rule = {"index": 1, **PATIENT, "min_delta": 0.0}
    assert ended == {"reason": "early_stopping", "rule": rule, "epoch": 2}


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ({}, "epochs"),
        ({"status": "failed", "code": "diverged", "message": "…"}, "diverged"),
        ({"status": "failed", "code": "time_limit", "message": "…"}, "timed_out"),
        ({"status": "failed", "code": "out_of_memory", "message": "…"}, "failed"),
        ({"status": "cancelled"}, "cancelled"),
    ],
)
def test_run_that_no_rule_ended_has_another_reason(
    client: TestClient, work: Jobs, outcome: dict[str, Any], reason: str
) -> None:
    if outcome.get("status") == "cancelled":
        run_id = client.post("/v1/runs", json=BODY).json()["id"]
        ended = client.post(f"/v1/runs/{run_id}/cancel").json()["ended"]
    else:
        ended = end(client, work, [PATIENT], 3, **outcome)
    assert ended == {"reason": reason, "rule": None, "epoch": 0 if reason == "cancelled" else 3}


@pytest.mark.parametrize(
    ("stop", "epochs", "index"), [([LOW], 2, 0), ([PATIENT, STEPS], 3, 1), ([PATIENT, LOW], 2, None)]
)
def test_unreported_rule_is_deduced_unless_ambiguous(
    client: TestClient, work: Jobs, stop: list[Any], epochs: int, index: int | None
) -> None:
    ended = end(client, work, stop, epochs)
    if index is None:
        assert ended is None
    else:
        assert (ended["reason"], ended["rule"]["index"]) == (stop[index]["kind"], index)


def test_reused_result_and_list_have_the_reason_and_the_memory(client: TestClient, work: Jobs) -> None:
    ended = end(client, work, [PATIENT, LOW], 2, rule=0, peak_bytes=2**33)
    reused = client.post("/v1/runs", json={**BODY, "epochs": 3, "stop": [PATIENT, LOW]}).json()
    assert reused["reused_from"] is not None
    assert reused["ended"] == ended
    runs = client.get("/v1/runs").json()["data"]
    assert [(run["ended"], run["peak_bytes"]) for run in runs] == [(ended, 2**33)] * 2
