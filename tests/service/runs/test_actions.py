"""What can be asked of a run that is there: pause, resume, retry, change, delete."""

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


def begun(work: Jobs, epochs: int = 1) -> Claim:
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="test")
    for number in range(1, epochs + 1):
        work.record([claim], [measured(claim.run_id, number)])
    return claim


def ask(client: TestClient, run_id: str, action: str) -> tuple[int, str]:
    answer = client.post(f"/v1/runs/{run_id}/{action}")
    told = answer.json()
    return answer.status_code, told["status"] if answer.status_code < 300 else told["code"]


def test_a_run_is_paused_between_steps_and_goes_on_from_there(client: TestClient, work: Jobs) -> None:
    run_id = post(client)
    claim = begun(work)
    assert ask(client, run_id, "pause") == (202, "pausing")
    assert ask(client, run_id, "pause") == (200, "pausing")
    assert work.orders([claim]) == {run_id: "pause"}
    work.finish([claim], [Outcome(run_id=run_id, status="paused")])
    assert ask(client, run_id, "pause") == (200, "paused")
    assert work.claim(WORKER, limit=1) == ()
    assert ask(client, run_id, "resume") == (202, "queued")
    assert ask(client, run_id, "resume") == (200, "queued")
    (again,) = work.claim(WORKER, limit=1)
    assert again.history == {"val.loss": [0.5]}


def test_what_failed_or_was_cancelled_is_tried_again(client: TestClient, work: Jobs) -> None:
    run_id = post(client)
    claim = begun(work)
    work.finish([claim], [Outcome(run_id=run_id, status="failed", code="disk_full", message="…")])
    assert ask(client, run_id, "retry") == (202, "queued")
    run = client.get(f"/v1/runs/{run_id}").json()
    assert (run["error"], run["finished_at"]) == (None, None)
    assert ask(client, run_id, "cancel") == (202, "cancelled")
    assert ask(client, run_id, "retry") == (202, "queued")


@pytest.mark.parametrize("action", ["pause", "resume", "retry"])
def test_what_a_state_does_not_allow_is_refused_with_what_it_does(client: TestClient, action: str, work: Jobs) -> None:
    run_id = post(client)
    claim = begun(work)
    work.finish([claim], [Outcome(run_id=run_id, status="succeeded")])
    assert ask(client, run_id, action) == (409, "transition_refused")
    assert ask(client, "run_nothing", action) == (404, "run_not_found")
    queued = post(client, seed=5)
    answer = client.post(f"/v1/runs/{queued}/pause")
    assert (answer.status_code, "cancel" in answer.json()["detail"]) == (409, True)


def test_names_labels_and_priority_can_be_changed_and_nothing_else(client: TestClient) -> None:
    run_id = post(client, name="old", labels={"a": "b"})
    before = client.get(f"/v1/runs/{run_id}")
    changed = client.patch(f"/v1/runs/{run_id}", json={"name": "new", "priority": 7})
    assert (changed.json()["name"], changed.json()["priority"], changed.json()["labels"]) == ("new", 7, {"a": "b"})
    assert client.get(f"/v1/runs/{run_id}").headers["etag"] != before.headers["etag"]
    assert client.patch(f"/v1/runs/{run_id}", json={"name": None}).json()["name"] is None
    refused = client.patch(f"/v1/runs/{run_id}", json={"epochs": 5})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/epochs")
    assert client.patch("/v1/runs/run_nothing", json={}).status_code == 404


def test_a_run_that_has_ended_can_be_deleted_with_its_files(client: TestClient, work: Jobs, here: Settings) -> None:
    run_id = post(client)
    assert client.delete(f"/v1/runs/{run_id}").json()["code"] == "run_active"
    claim = begun(work)
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


def test_what_others_took_over_stays_with_them(client: TestClient, work: Jobs) -> None:
    first = post(client)
    claim = begun(work, epochs=3)
    reports: dict[str, Any] = {"confusion": [[10 * (i == j) for j in range(10)] for i in range(10)]}
    work.finish([claim], [Outcome(run_id=first, status="succeeded", reports=reports)])
    heir, other = post(client), post(client)
    history = client.get(f"/v1/runs/{heir}/history").json()
    assert client.delete(f"/v1/runs/{first}").status_code == 204
    runs = [client.get(f"/v1/runs/{run_id}").json() for run_id in (heir, other)]
    assert [run["reused_from"] for run in runs] == [None, heir]
    for run_id in (heir, other):
        kept = client.get(f"/v1/runs/{run_id}/history").json()
        assert (kept["series"], kept["epoch"]) == (history["series"], [1, 2, 3])
        assert client.get(f"/v1/runs/{run_id}/confusion").status_code == 200
    assert client.post("/v1/runs", json=body()).json()["reused_from"] == heir


def test_a_clone_is_the_run_but_for_its_patch(client: TestClient, work: Jobs) -> None:
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
    claim = begun(work)
    work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])
    again = client.post(f"/v1/runs/{claim.run_id}/clone", json={})
    assert (again.status_code, again.json()["reused_from"]) == (200, claim.run_id)
