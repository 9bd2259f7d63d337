"""Baselines of runs: recorded when training begins, filtered by, reused with the result, null for earlier runs."""

from __future__ import annotations

from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Outcome


def test_baseline_is_recorded_filtered_and_reused(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body(epochs=1)).json()["id"]
    assert client.get(f"/v1/runs/{run_id}").json()["baseline"] is None
    claims = work.claim(WORKER, limit=1)
    baseline = {"val.loss": 2.25, "val.accuracy": 0.125, "test.r2": None}
    work.started(claims, device="cpu", determinism_class="test", baselines={run_id: baseline})
    work.record(claims, [measured(run_id, 1, val_loss=1.5)])
    work.finish(claims, [Outcome(run_id=run_id, status="succeeded")])
    assert client.get(f"/v1/runs/{run_id}").json()["baseline"] == baseline
    matches = client.get("/v1/runs", params={"filter": "baseline.val.loss > 2 AND last.val.loss < 2"}).json()["data"]
    assert [run["id"] for run in matches] == [run_id]
    reused = client.post("/v1/runs", json=body(epochs=1)).json()
    assert (reused["reused_from"], reused["baseline"]) == (run_id, baseline)


def test_restart_without_a_baseline_keeps_the_recorded_one(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body(epochs=2)).json()["id"]
    claims = work.claim(WORKER, limit=1)
    work.started(claims, device="cpu", determinism_class="test", baselines={run_id: {"val.loss": 2.25}})
    work.started(claims, device="cpu", determinism_class="test")
    assert client.get(f"/v1/runs/{run_id}").json()["baseline"] == {"val.loss": 2.25}
