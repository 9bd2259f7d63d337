"""Comparisons by Brier score and calibration error, also of runs that an earlier version trained without them."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, measured
from tests.service.studies.training import compare, post
from worker.ports import Outcome

pytestmark = pytest.mark.slow


def test_runs_without_calibration_are_missing_from_its_comparison(client: TestClient, work: Jobs) -> None:
    study = post(client).json()
    queued = client.get("/v1/runs", params={"fields": "id,arm,seed", "limit": 100}).json()["data"]
    placed = {run["id"]: (run["arm"] == "dropout", run["seed"]) for run in queued}
    while claims := work.claim(WORKER, limit=100):
        work.started(claims, device="cpu", determinism_class="test")
        for epoch in (1, 2):
            measurements = []
            for claim in claims:
                dropout, seed = placed[claim.run_id]
                brier = 0.5 + seed / 100 + (epoch == 1) / 10 - dropout / 8
                scores = {} if (dropout, seed) == (False, 7) else {"val_brier": brier, "test_brier": brier}
                measurements.append(measured(claim.run_id, epoch, val_loss=epoch, test_loss=1.0, **scores))
            work.record(claims, measurements)
        work.finish(claims, [Outcome(run_id=claim.run_id, status="succeeded") for claim in claims])
    result = compare(client, study, metric="test.brier", epoch_by="val.brier")
    assert (result["direction"], [arm["n"] for arm in result["arms"]]) == ("lower_is_better", [7, 8])
    (pair,) = result["pairs"]
    assert (pair["n"], pair["verdict"], pair["mean_difference"]) == (7, "better", pytest.approx(-1 / 8))
    assert result["arms"][0]["mean"] == pytest.approx(0.53), "at epoch 2, the best by val.brier"
    unknown = client.get(f"/v1/studies/{study['id']}/compare", params={"metric": "test.ece"})
    assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (422, "no_such_series")
