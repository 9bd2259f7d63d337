"""Metadata of runs: how submitting, changing, cloning, extending and verifying a run treat each field."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from service.runs.run import RunMetadata
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, measured
from worker.ports import Checkpoint, Outcome

METADATA: dict[str, Any] = {
    "name": "first",
    "labels": {"course": "dl"},
    "priority": 3,
    "max_seconds": 600.0,
}
"""A value for every field, other than its default."""
DEFAULTS = RunMetadata().model_dump()


def submit(client: TestClient) -> str:
    run_id: str = client.post("/v1/runs", json={**BODY, **METADATA}).json()["id"]
    return run_id


def metadata(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in RunMetadata.model_fields}


def train(work: Jobs, run_id: str) -> None:
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="cpu/test")
    for epoch in range(1, BODY["epochs"] + 1):
        work.record([claim], [measured(run_id, epoch)])
    checkpoint = Checkpoint(epoch=BODY["epochs"], path=f"{run_id}/1", sha256="0" * 64, bytes=7, digest="d")
    work.checkpointed([claim], {run_id: checkpoint}, {})
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])


def test_submitted_metadata_is_returned(client: TestClient) -> None:
    run_id = submit(client)
    assert metadata(client.get(f"/v1/runs/{run_id}").json()) == METADATA
    assert all(METADATA[name] != DEFAULTS[name] for name in RunMetadata.model_fields)


def test_each_field_is_changed_alone(client: TestClient) -> None:
    run_id = client.post("/v1/runs", json=BODY).json()["id"]
    expected = dict(DEFAULTS)
    for name, value in METADATA.items():
        expected[name] = value
        assert metadata(client.patch(f"/v1/runs/{run_id}", json={name: value}).json()) == expected
    assert metadata(client.get(f"/v1/runs/{run_id}").json()) == METADATA


def test_clone_has_the_metadata_of_its_request(client: TestClient) -> None:
    run_id = submit(client)
    plain = client.post(f"/v1/runs/{run_id}/clone", json={"patch": {"seed": 1}}).json()
    assert metadata(plain) == DEFAULTS
    clone = client.post(f"/v1/runs/{plain['id']}/clone", json={"patch": {"seed": 2}, **METADATA}).json()
    assert metadata(clone) == METADATA


def test_extension_keeps_the_metadata(client: TestClient, work: Jobs) -> None:
    run_id = submit(client)
    train(work, run_id)
    longer = client.post(f"/v1/runs/{run_id}/extend", json={"epochs": BODY["epochs"] + 2}).json()
    assert metadata(longer) == METADATA


def test_verification_keeps_only_the_priority(client: TestClient, work: Jobs) -> None:
    run_id = submit(client)
    train(work, run_id)
    repetition = client.post(f"/v1/runs/{run_id}/verify").json()["by"]
    assert metadata(client.get(f"/v1/runs/{repetition}").json()) == {**DEFAULTS, "priority": METADATA["priority"]}
