"""Actions on existing runs: pause, resume, retry, change, delete, clone."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Checkpoint, Claim, Outcome


def post(client: TestClient, **changed: Any) -> str:
    run_id: str = client.post("/v1/runs", json=body(**changed)).json()["id"]
    return run_id


def start(work: Jobs, epochs: int = 1) -> Claim:
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="test")
    for number in range(1, epochs + 1):
        work.record([claim], [measured(claim.run_id, number)])
    return claim


def act(client: TestClient, run_id: str, action: str) -> tuple[int, str]:
    answer = client.post(f"/v1/runs/{run_id}/{action}")
    content = answer.json()
    return answer.status_code, content["status"] if answer.status_code < 300 else content["code"]


def test_paused_run_resumes_from_its_last_epoch(client: TestClient, work: Jobs) -> None:
    run_id = post(client)
    claim = start(work)
    assert act(client, run_id, "pause") == (202, "pausing")
    assert act(client, run_id, "pause") == (200, "pausing")
    assert work.orders([claim]) == {run_id: "pause"}
    work.finish([claim], [Outcome(run_id=run_id, status="paused")])
    assert act(client, run_id, "pause") == (200, "paused")
    assert work.claim(WORKER, limit=1) == ()
    assert act(client, run_id, "resume") == (202, "queued")
    assert act(client, run_id, "resume") == (200, "queued")
    (again,) = work.claim(WORKER, limit=1)
    assert again.history == {"val.loss": [0.5]}


def test_failed_or_cancelled_run_can_be_retried(client: TestClient, work: Jobs) -> None:
    run_id = post(client)
    claim = start(work)
    work.finish([claim], [Outcome(run_id=run_id, status="failed", code="disk_full", message="…")])
    assert act(client, run_id, "retry") == (202, "queued")
    run = client.get(f"/v1/runs/{run_id}").json()
    assert (run["error"], run["finished_at"]) == (None, None)
    assert act(client, run_id, "cancel") == (202, "cancelled")
    assert act(client, run_id, "retry") == (202, "queued")


@pytest.mark.parametrize("action", ["pause", "resume", "retry"])
def test_action_that_the_status_does_not_allow_is_refused_with_the_allowed_ones(
    client: TestClient, action: str, work: Jobs
) -> None:
    run_id = post(client)
    claim = start(work)
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    assert act(client, run_id, action) == (409, "transition_refused")
    assert act(client, "run_nothing", action) == (404, "run_not_found")
    queued = post(client, seed=5)
    answer = client.post(f"/v1/runs/{queued}/pause")
    assert (answer.status_code, "cancel" in answer.json()["detail"]) == (409, True)


def test_only_metadata_can_be_changed(client: TestClient) -> None:
    run_id = post(client, name="old", labels={"a": "b"})
    before = client.get(f"/v1/runs/{run_id}")
    changed = client.patch(f"/v1/runs/{run_id}", json={"name": "new", "priority": 7})
    assert (changed.json()["name"], changed.json()["priority"], changed.json()["labels"]) == ("new", 7, {"a": "b"})
    assert client.get(f"/v1/runs/{run_id}").headers["etag"] != before.headers["etag"]
    assert client.patch(f"/v1/runs/{run_id}", json={"name": None}).json()["name"] is None
    refused = client.patch(f"/v1/runs/{run_id}", json={"epochs": 5})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/epochs")
    assert client.patch("/v1/runs/run_nothing", json={}).status_code == 404


def test_finished_run_is_deleted_with_its_files(client: TestClient, work: Jobs, here: Settings) -> None:
    run_id = post(client)
    assert client.delete(f"/v1/runs/{run_id}").json()["code"] == "run_active"
    claim = start(work)
    file = here.checkpoints / run_id / "one.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    path = f"{run_id}/one.safetensors"
    work.checkpointed([claim], {run_id: Checkpoint(epoch=1, path=path, sha256="x", bytes=7, digest="d")}, {})
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    assert client.delete(f"/v1/runs/{run_id}").status_code == 204
    assert not file.exists()
    for path in ("", "/history", "/events"):
        assert client.get(f"/v1/runs/{run_id}{path}").status_code == 404
    assert client.delete(f"/v1/runs/{run_id}").status_code == 404


def test_runs_that_reuse_a_deleted_run_keep_its_results(client: TestClient, work: Jobs) -> None:
    first = post(client)
    claim = start(work, epochs=3)
    reports: dict[str, Any] = {"confusion": [[10 * (i == j) for j in range(10)] for i in range(10)]}
    work.finish([claim], [Outcome(run_id=first, status="succeeded", reports=reports)])
    first_reuse, second_reuse = post(client), post(client)
    history = client.get(f"/v1/runs/{first_reuse}/history").json()
    assert client.delete(f"/v1/runs/{first}").status_code == 204
    runs = [client.get(f"/v1/runs/{run_id}").json() for run_id in (first_reuse, second_reuse)]
    assert [run["reused_from"] for run in runs] == [None, first_reuse]
    for run_id in (first_reuse, second_reuse):
        copied = client.get(f"/v1/runs/{run_id}/history").json()
        assert (copied["series"], copied["epoch"]) == (history["series"], [1, 2, 3])
        assert client.get(f"/v1/runs/{run_id}/confusion").status_code == 200
    assert client.post("/v1/runs", json=body()).json()["reused_from"] == first_reuse


def test_clone_equals_the_run_except_for_its_patch(client: TestClient, work: Jobs) -> None:
    run_id = post(client, name="old", labels={"a": "b"}, regularizers=[{"kind": "l2", "strength": 0.1}])
    patch = {"optimizer": {"lr": 0.5}, "seed": 4, "regularizers_add": [{"kind": "dropout", "p": 0.2}]}
    answer = client.post(f"/v1/runs/{run_id}/clone", json={"patch": patch, "name": "new"})
    clone, old = answer.json(), client.get(f"/v1/runs/{run_id}").json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/runs/{clone['id']}")
    assert (clone["name"], clone["labels"], clone["seed"]) == ("new", {}, 4)
    assert clone["spec"]["optimizer"] == {"kind": "sgd", "lr": 0.5}
    assert [part["kind"] for part in clone["spec"]["regularizers"]] == ["l2", "dropout"]
    same = ("dataset", "model", "epochs", "batch_size")
    assert [clone["spec"][name] for name in same] == [old["spec"][name] for name in same]
    refused = client.post(f"/v1/runs/{run_id}/clone", json={"patch": {"optimizer": {"lr": -1}}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/optimizer/lr")
    assert client.post("/v1/runs/run_nothing/clone", json={}).status_code == 404
    claim = start(work)
    work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])
    again = client.post(f"/v1/runs/{claim.run_id}/clone", json={})
    assert (again.status_code, again.json()["reused_from"]) == (200, claim.run_id)
