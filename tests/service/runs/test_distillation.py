"""Bodies with teachers over HTTP: errors have exact pointers at any depth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, body


def distill(*teachers: Any, **fields: Any) -> dict[str, Any]:
    return body(regularizers=[{"kind": "distillation", "teachers": list(teachers), **fields}])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("teachers", "pointer", "message"),
    [
        ([], "", "at least 1 item"),
        ([{}], "/0", "A teacher needs either run_id or spec."),
        ([{"run_id": "run_" + "0" * 26, "spec": body()}], "/0", "either run_id or spec"),
        ([{"spec": body(), "sha256": "a" * 64}], "/0", "not a spec"),
        ([{"run_id": "x"}], "/0/run_id", "id of a run"),
        ([{"spec": body(epochs=0)}], "/0/spec/epochs", "greater than or equal to 1"),
        ([{"spec": distill({"spec": body(modle={})})}], "/0/spec/regularizers/0/teachers/0/spec/modle", "'model'"),
    ],
)
def test_invalid_teacher_is_reported_once_with_its_pointer(
    client: TestClient, teachers: list[Any], pointer: str, message: str
) -> None:
    answer = client.post("/v1/runs", json=distill(*teachers))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == f"/regularizers/0/teachers{pointer}"
    assert message in error["message"]


@pytest.mark.parametrize("generations", [9, 60, 2000])
def test_too_deep_chain_of_teachers_is_refused(client: TestClient, generations: int) -> None:
    before, after = json.dumps(distill({"spec": "@"})).split('"@"')
    chain = before * generations + json.dumps(body()) + after * generations
    answer = client.post("/v1/runs", content=chain, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


def test_spec_with_teachers_is_validated_without_training_any(client: TestClient, work: Jobs) -> None:
    answer = client.post("/v1/runs?validate_only=true", json=distill({"spec": body(seed=3)}))
    assert answer.status_code == 200
    assert answer.json()["spec"]["regularizers"][0]["teachers"][0]["spec"]["seed"] == 3
    assert work.claim(WORKER, limit=8) == ()


def test_arms_share_an_equal_teacher_and_waiting_arms_are_cancelled_with_their_study(
    client: TestClient, work: Jobs
) -> None:
    spec = body(seed=9, model={"kind": "mlp", "hidden": [20]})
    arms = {"plain": {}, "soft": distill({"spec": spec}), "cold": distill({"spec": spec}, temperature=1.0)}
    study = client.post("/v1/studies", json={"base": body(), "arms": arms, "seeds": 2})
    assert study.status_code == 201, study.text
    runs = client.get("/v1/runs?limit=100").json()["data"]
    assert len(runs) == 3 * 2 + 1
    students = [run for run in runs if run["status"] == "waiting"]
    assert len({run["spec"]["regularizers"][0]["teachers"][0]["run_id"] for run in students}) == 1
    assert all("teachers" in run["waiting_reason"] for run in students)
    assert client.post(f"/v1/studies/{study.json()['id']}/cancel").status_code == 202
    remaining = [run["status"] for run in client.get("/v1/runs?limit=100").json()["data"] if run["study_id"] is None]
    assert remaining == ["queued"], "the teacher does not belong to the study"
