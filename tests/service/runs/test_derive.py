"""Runs derived from runs (extend, verify, warm start), their files and their time limits."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body, measured
from worker.ports import Checkpoint, Claim, Note, Outcome, WeightsFile

pytestmark = pytest.mark.slow


def saved(claim: Claim, epoch: int, *, attempt: int = 1) -> Checkpoint:
    name = f"{claim.run_id}/{attempt}-{epoch}"
    return Checkpoint(epoch=epoch, path=name, sha256=f"{epoch:064x}", bytes=7, digest=f"{claim.run_id}@{epoch}")


def weights_file(claim: Claim, epoch: int, at: Literal["best", "last"] = "last") -> WeightsFile:
    path = f"{claim.run_id}/w{epoch}"
    return WeightsFile(at=at, epoch=epoch, path=path, sha256=f"{epoch + 1000:064x}", bytes=5)


def finished(client: TestClient, work: Jobs, epochs: int = 3, **changed: Any) -> str:
    """Return the id of a run that has trained to its last epoch and saved its files."""
    answer = client.post("/v1/runs?reuse=false", json=body(epochs=epochs, **changed))
    assert answer.status_code == 201, answer.text
    run_id: str = answer.json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    train(work, claim, 1, epochs)
    return run_id


def train(work: Jobs, claim: Claim, first: int, last: int, *, twist: int | None = None) -> None:
    """Record epochs and finish; digests depend on the epoch's number alone, and differ from the epoch ``twist`` on."""
    work.started([claim], device="cpu", determinism_class="cpu/test")
    for number in range(first, last + 1):
        digest = f"digest {number}" + ("!" if twist is not None and number >= twist else "")
        work.record([claim], [measured(claim.run_id, number, digest=digest)])
    weights = (weights_file(claim, last), weights_file(claim, last, "best"))
    work.checkpointed([claim], {claim.run_id: saved(claim, last)}, {claim.run_id: weights})
    work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])


@pytest.mark.parametrize(("action", "request_body"), [("clone", {"patch": {"seed": 7}}), ("extend", {"epochs": 5})])
def test_idempotency_key_creates_one_run_from_two_requests(
    client: TestClient, work: Jobs, action: str, request_body: dict[str, Any]
) -> None:
    run_id, headers = finished(client, work), {"Idempotency-Key": "k"}
    first, again = (client.post(f"/v1/runs/{run_id}/{action}", json=request_body, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert first.headers["location"] == again.headers["location"] == f"/v1/runs/{first.json()['id']}"
    assert len(client.get("/v1/runs").json()["data"]) == 2
    changed = {"patch": {"seed": 8}} if action == "clone" else {"epochs": 6}
    reused = client.post(f"/v1/runs/{run_id}/{action}", json=changed, headers=headers).json()
    assert reused["code"] == "idempotency_key_reused"


def test_extension_of_a_finished_run_is_a_new_run_that_continues_it(client: TestClient, work: Jobs) -> None:
    run_id = finished(client, work)
    answer = client.post(f"/v1/runs/{run_id}/extend", json={"epochs": 5})
    assert answer.status_code == 201
    longer = answer.json()
    assert (longer["extends"], longer["status"], longer["progress"]["epoch"]) == (run_id, "queued", 3)
    history = client.get(f"/v1/runs/{longer['id']}/history").json()
    assert history["series"]["val.loss"] == client.get(f"/v1/runs/{run_id}/history").json()["series"]["val.loss"]
    (claim,) = work.claim(WORKER, limit=1)
    assert (claim.run_id, [c.epoch for c in claim.checkpoints]) == (longer["id"], [3])
    assert claim.history["val.loss"] == [0.5, 1 / 3, 0.25]
    train(work, claim, 4, 5)
    events = client.get(f"/v1/runs/{longer['id']}/events").json()["data"]
    assert [e["data"]["epoch"] for e in events if e["type"] == "epoch"] == [1, 2, 3, 4, 5]
    again = client.post(f"/v1/runs/{run_id}/extend", json={"epochs": 5})
    assert (again.status_code, again.json()["reused_from"]) == (200, longer["id"])


@pytest.mark.parametrize(
    ("changed", "epochs", "message"),
    [
        ({}, 3, "3 epochs already"),
        ({"schedule": {"kind": "cosine"}}, 9, "schedule depends on the number of epochs"),
        ({"evaluate": {"test": "last_epoch"}}, 9, "test loss is measured depends"),
    ],
)
def test_extension_that_would_change_earlier_epochs_is_refused(
    client: TestClient, work: Jobs, changed: dict[str, Any], epochs: int, message: str
) -> None:
    answer = client.post(f"/v1/runs/{finished(client, work, **changed)}/extend", json={"epochs": epochs})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/epochs")
    assert message in answer.json()["detail"]


def test_only_finished_runs_are_extended_or_verified(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    for action, sent in (("extend", {"epochs": 9}), ("verify", None)):
        answer = client.post(f"/v1/runs/{run_id}/{action}", json=sent)
        assert (answer.status_code, answer.json()["code"]) == (409, "transition_refused")
    assert client.get(f"/v1/runs/{run_id}/verification").json()["code"] == "not_measured"


def test_run_that_a_rule_ended_continues_without_it_or_with_more_patience(client: TestClient, work: Jobs) -> None:
    rule = {"kind": "early_stopping", "patience": 2, "min_delta": 1.0}  # ends what measured() reports after epoch 3
    stopped = client.post("/v1/runs", json=body(epochs=9, stop=[rule])).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    train(work, claim, 1, 3)

    def extend(**request: Any) -> Any:
        return client.post(f"/v1/runs/{stopped}/extend", json=request)

    again = extend(epochs=20)
    assert (again.status_code, '"stop": []' in again.json()["detail"]) == (409, True)
    for refused, pointer, message in (
        ({"stop": [rule]}, "/stop/0", "would end the run after epoch 3"),
        ({"stop": [{"kind": "max_steps", "steps": 2}]}, "/stop", "cannot change"),
        ({"stop": [], "epochs": 3}, "/epochs", "3 epochs already"),
    ):
        answer = extend(**refused)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert message in answer.json()["detail"]
    for stop in ([], [{**rule, "patience": 3}]):
        longer = extend(stop=stop)
        assert longer.status_code == 201, longer.text
        view = longer.json()
        assert (view["extends"], view["spec"]["epochs"], view["progress"]["epoch"]) == (stopped, 9, 3)
        assert [one["kind"] for one in view["spec"]["stop"]] == [one["kind"] for one in stop]


@pytest.mark.parametrize(("twist", "outcome"), [(None, "match"), (2, "differs")])
def test_verification_reports_the_first_epoch_that_differs(
    client: TestClient, work: Jobs, twist: int | None, outcome: str
) -> None:
    run_id = finished(client, work)
    begun = client.post(f"/v1/runs/{run_id}/verify")
    assert (begun.status_code, begun.json()["outcome"]) == (202, "pending")
    assert client.post(f"/v1/runs/{run_id}/verify").status_code == 200
    (claim,) = work.claim(WORKER, limit=1)
    assert claim.run_id == begun.json()["by"]
    train(work, claim, 1, 3, twist=twist)
    view = client.get(f"/v1/runs/{run_id}/verification").json()
    assert (view["outcome"], view["first_difference"]) == (outcome, twist)
    assert client.get(f"/v1/runs/{claim.run_id}").json()["verifies"] == run_id


def test_verification_on_another_kind_of_machine_is_not_comparable(client: TestClient, work: Jobs) -> None:
    run_id = finished(client, work)
    client.post(f"/v1/runs/{run_id}/verify")
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="cpu/other")
    work.record([claim], [measured(claim.run_id, 1)])
    work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
    view = client.get(f"/v1/runs/{run_id}/verification").json()
    assert (view["outcome"], "cpu/other" in view["reason"]) == ("not_comparable", True)


def test_warm_start_references_its_weights_by_digest_and_keeps_them(
    client: TestClient, work: Jobs, settings: Settings
) -> None:
    first = finished(client, work)
    path = settings.checkpoints / first / "w3"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"five!")
    warm = body(warm_start={"run_id": first}, seed=5)
    run = client.post("/v1/runs", json=warm).json()
    assert run["spec"]["warm_start"] == {"run_id": first, "at": "last", "sha256": f"{1003:064x}"}
    assert client.delete(f"/v1/runs/{first}").status_code == 204
    assert path.exists(), "another run starts from it"
    (claim,) = work.claim(WORKER, limit=1)
    assert [(file.at, file.path) for file in claim.weights] == [("start", f"{first}/w3")]
    train(work, claim, 1, 3)
    cloned = client.post(f"/v1/runs/{run['id']}/clone", json={"patch": {"seed": 6}})
    assert cloned.status_code == 201, "the weights are still referenced by their digest"
    client.post(f"/v1/runs/{cloned.json()['id']}/cancel")
    for run_id in (run["id"], cloned.json()["id"]):
        assert client.delete(f"/v1/runs/{run_id}").status_code == 204
    assert not path.exists()


def test_warm_start_begins_with_averaged_weights_of_its_source(client: TestClient, work: Jobs) -> None:
    source = client.post("/v1/runs", json=body(epochs=1, averaging={"kind": "ema"})).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="cpu/test")
    work.record([claim], [measured(source, 1)])
    averaged = dataclasses.replace(weights_file(claim, 7), at="averaged")
    work.checkpointed([claim], {source: saved(claim, 1)}, {source: (weights_file(claim, 1), averaged)})
    work.finish([claim], [Outcome(run_id=source, status="succeeded", code="finished")])
    warm = {"run_id": source, "at": "averaged"}
    run = client.post("/v1/runs", json=body(warm_start=warm)).json()
    assert run["spec"]["warm_start"] == {**warm, "sha256": averaged.sha256}
    (claim,) = work.claim(WORKER, limit=1)
    assert [(file.at, file.path) for file in claim.weights] == [("start", averaged.path)]


@pytest.mark.parametrize("has_best", [True, False])
def test_warm_start_with_weights_of_a_run_that_diverged_needs_its_best(
    has_best: bool, client: TestClient, work: Jobs
) -> None:
    wild = client.post("/v1/runs", json=body()).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    last = weights_file(claim, 2)
    stored = (last, *([weights_file(claim, 1, "best")] if has_best else []))
    work.checkpointed([claim], {}, {wild: stored})
    work.finish([claim], [Outcome(run_id=wild, status="failed", code="diverged", message="…")])

    def start(**warm: Any) -> Any:
        return client.post("/v1/runs?validate_only=true", json=body(seed=7, warm_start={"run_id": wild, **warm}))

    remedy = 'Use those of its best epoch ("at": "best"), or name another run.' if has_best else "Name another run."
    message = f"{wild} diverged, so its last weights are not finite. {remedy}"
    error, by_content = start().json()["errors"][0], start(sha256=last.sha256).json()["errors"][0]
    place = "/warm_start/at" if has_best else "/warm_start/run_id"
    assert (error["pointer"], error["code"], error["message"]) == (place, "diverged", message)
    assert error["allowed"] == (["best"] if has_best else [])
    assert (by_content["pointer"], by_content["code"]) == ("/warm_start/sha256", "diverged")
    assert (start(at="best").status_code == 200) is has_best


@pytest.mark.parametrize(
    ("warm", "changed", "code", "message"),
    [
        ({"run_id": "run_" + "0" * 26}, {}, "run_not_found", "does not exist"),
        ({}, {"model": {"kind": "mlp", "hidden": [17]}}, "other_model", "layers.0.weight is 16×64 there"),
        ({"sha256": "f" * 64}, {}, "no_weights", "Omit sha256"),
        ({"at": "averaged"}, {}, "no_weights", "only runs with averaging"),
        ({"at": "averaged"}, {}, "no_weights", "It has 'best' (epoch 3), 'last' (epoch 3)."),
    ],
)
def test_missing_or_unfit_weights_are_refused(
    client: TestClient, work: Jobs, warm: dict[str, Any], changed: dict[str, Any], code: str, message: str
) -> None:
    first = finished(client, work)
    answer = client.post("/v1/runs", json=body(warm_start={"run_id": first, **warm}, **changed))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
    assert message in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"].startswith("/warm_start/")
    validated = client.post("/v1/runs?validate_only=true", json=body(warm_start={"run_id": first, **warm}, **changed))
    assert validated.json()["errors"] == answer.json()["errors"]


def test_refusal_states_when_a_run_without_weights_will_have_them(client: TestClient) -> None:
    first = client.post("/v1/runs", json=body()).json()["id"]
    answer = client.post("/v1/runs", json=body(warm_start={"run_id": first}))
    assert (answer.status_code, "when the run ends" in answer.json()["detail"]) == (422, True)


def test_arms_can_start_from_the_weights_of_a_run(client: TestClient, work: Jobs) -> None:
    first = finished(client, work)
    arms = {"cold": {}, "warm": {"warm_start": {"run_id": first, "at": "best"}}}
    study = client.post("/v1/studies", json={"base": body(epochs=2), "arms": arms, "seeds": 2})
    assert study.status_code == 201, study.text
    claims = work.claim(WORKER, limit=8)
    assert sorted(len(claim.weights) for claim in claims) == [0, 0, 1, 1], "all share a stack"


def test_run_past_its_time_limit_fails_and_resumes_with_a_higher_limit(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body(max_seconds=600)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    assert work.orders([claim]) == {run_id: "go"}
    client.patch(f"/v1/runs/{run_id}", json={"max_seconds": 0.01})
    time.sleep(0.02)
    assert work.orders([claim]) == {run_id: "time_out"}
    assert work.heartbeat(WORKER, [claim]) == {run_id: "time_out"}
    work.finish([claim], [Outcome(run_id=run_id, status="failed", code="time_limit", message="…")])
    assert client.get(f"/v1/runs/{run_id}").json()["error"]["code"] == "time_limit"
    assert client.post(f"/v1/runs/{run_id}/retry").status_code == 202
    (claim,) = work.claim(WORKER, limit=1)
    assert work.orders([claim]) == {run_id: "time_out"}, "the time of earlier attempts counts"
    client.patch(f"/v1/runs/{run_id}", json={"max_seconds": 60})
    assert work.orders([claim]) == {run_id: "go"}


def test_time_in_the_queue_does_not_count_towards_the_limit(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body(max_seconds=1.5)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.release([claim], failed=False)
    time.sleep(1.6)
    (claim,) = work.claim(WORKER, limit=1)
    assert work.orders([claim]) == {run_id: "go"}


def test_files_of_a_run_are_listed_and_better_weights_replace_older_ones(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="cpu/test")
    first = work.checkpointed([claim], {run_id: saved(claim, 1)}, {run_id: (weights_file(claim, 1, "best"),)})
    then = work.checkpointed([claim], {}, {run_id: (weights_file(claim, 2, "best"),)})
    assert (list(first), list(then)) == ([], [f"{run_id}/w1"])
    view = client.get(f"/v1/runs/{run_id}/checkpoints").json()
    assert [one["epoch"] for one in view["data"]] == [1]
    assert [(one["at"], one["epoch"]) for one in view["weights"]] == [("best", 2)]


def test_unreferenced_files_of_a_stale_claim_are_returned_for_deletion(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.release([claim], failed=False)
    paths = work.checkpointed([claim], {run_id: saved(claim, 1)}, {run_id: (weights_file(claim, 1),)})
    assert sorted(paths) == [f"{run_id}/1-1", f"{run_id}/w1"]
    assert client.get(f"/v1/runs/{run_id}/checkpoints").json()["weights"] == []


def test_log_has_the_lines_of_the_current_claim_only(client: TestClient, work: Jobs) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    (stale,) = work.claim(WORKER, limit=1)
    work.release([stale], failed=False)
    (claim,) = work.claim(WORKER, limit=1)
    work.note([stale], Note(run_ids=(run_id,), level="info", text="too late"))
    for number in range(3):
        work.note([claim], Note(run_ids=(run_id,), level="warning", text=f"line {number}\0"))
    page = client.get(f"/v1/runs/{run_id}/logs?limit=2").json()
    assert [line["text"] for line in page["data"]] == ["line 0\ufffd", "line 1\ufffd"]
    rest = client.get(f"/v1/runs/{run_id}/logs?after={page['next_cursor']}").json()
    assert [(line["text"], line["attempt"], line["level"]) for line in rest["data"]] == [("line 2\ufffd", 2, "warning")]
    assert (page["has_more"], rest["has_more"]) == (True, False)


def test_deleting_a_run_keeps_the_files_that_its_extension_needs(
    client: TestClient, work: Jobs, settings: Settings
) -> None:
    run_id = finished(client, work)
    folder: Path = settings.checkpoints / run_id
    folder.mkdir(parents=True)
    for name in ("1-3", "w3"):
        (folder / name).write_bytes(b"x")
    longer = client.post(f"/v1/runs/{run_id}/extend", json={"epochs": 5}).json()["id"]
    assert client.delete(f"/v1/runs/{run_id}").status_code == 204
    assert (folder / "1-3").exists()
    client.post(f"/v1/runs/{longer}/cancel")
    assert client.delete(f"/v1/runs/{longer}").status_code == 204
    assert not (folder / "1-3").exists()
