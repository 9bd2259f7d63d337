"""Requests that the tests of routes share."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from worker.ports import Outcome


def post(client: TestClient, expected: Any = None, **options: Any) -> Any:
    return client.post("/v1/runs", json=expected or BODY, **options)


def trained(work: Jobs, epochs: int = 3, **reports: Any) -> str:
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="test")
    for number in range(1, epochs + 1):
        work.record([claim], [measured(claim.run_id, number, train_loss=1 / number, val_loss=2 / number)])
    work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", reports=reports)])
    return claim.run_id
