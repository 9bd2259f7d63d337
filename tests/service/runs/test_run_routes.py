from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.http import bodies
from service.http.bodies import parse
from service.http.idempotency import fingerprint
from service.workers.jobs import Jobs
from tests.conftest import WORKER, body
from tests.service.runs.requests import post, trained
from worker.spec.optimizers import KINDS as OPTIMIZERS


def test_submitted_run_is_created_resolved_and_queued(client: TestClient) -> None:
    answer = post(client, body(name="first", labels={"course": "dl"}, priority=3))
    run = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/runs/{run['id']}"
    assert (run["object"], run["status"], run["terminal"], run["name"]) == ("run", "queued", False, "first")
    assert run["spec"]["dataset"]["split_seed"] == 0
    assert run["spec"]["schedule"] == {"kind": "constant"}
    assert "name" not in run["spec"]
    assert run["spec_hash"] == post(client).json()["spec_hash"]
    assert client.get(f"/v1/runs/{run['id']}").json()["labels"] == {"course": "dl"}


def test_validate_only_resolves_and_queues_nothing(client: TestClient) -> None:
    answer = post(client, params={"validate_only": "true"})
    verdict = answer.json()
    assert answer.status_code == 200
    assert verdict["parameters"] == 64 * 16 + 16 + 16 * 10 + 10
    assert verdict["estimated_seconds"] > 0
    assert verdict["estimated_bytes"] > verdict["parameters"] * 8
    assert [(one["name"], one["kind"], one["output_shape"], one["parameters"]) for one in verdict["layers"]] == [
        ("layers.0", "dense", [16], 64 * 16 + 16),
        ("", "relu", [16], 0),
        ("layers.1", "dense", [10], 16 * 10 + 10),
    ]
    assert client.get("/v1/runs").json()["data"] == []


def test_repeated_idempotency_key_replays_the_first_answer(client: TestClient) -> None:
    first = post(client, headers={"idempotency-key": "abc"})
    again = post(client, headers={"idempotency-key": "abc"})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = post(client, body(seed=1), headers={"idempotency-key": "abc"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_idempotency_key_covers_the_query(client: TestClient) -> None:
    headers = {"idempotency-key": "abc"}
    first = post(client, params={"reuse": "false", "validate_only": "false"}, headers=headers)
    reordered = post(client, params={"validate_only": "false", "reuse": "false"}, headers=headers)
    assert (reordered.status_code, reordered.content) == (201, first.content)
    for other in ({}, {"reuse": "true"}, {"reuse": "false"}):
        refused = post(client, params=other, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_key_without_a_query_keeps_the_fingerprint_of_earlier_versions() -> None:
    assert fingerprint(b"{}", []) == hashlib.sha256(b"{}").hexdigest()
    assert fingerprint(b"{}", [("reuse", "false")]) != fingerprint(b"{}", [])


def test_large_bodies_are_validated_off_the_event_loop(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    on_event_loop: list[bool] = []

    def recorded(model: Any, content: bytes) -> Any:
        on_event_loop.append(asyncio._get_running_loop() is not None)
        return parse(model, content)

    monkeypatch.setattr(bodies, "parse", recorded)
    bulk = {"runs": [body(seed=seed) for seed in range(100)]}
    assert len(json.dumps(bulk)) > bodies.LARGE_BYTES
    assert client.post("/v1/runs/bulk", json=bulk).status_code == 201
    assert post(client).status_code == 201
    assert on_event_loop == [False, True]


def test_equal_finished_run_answers_200_with_its_result(client: TestClient, work: Jobs) -> None:
    first = post(client).json()["id"]
    trained(work)
    again = post(client)
    assert (again.status_code, again.json()["status"], again.json()["reused_from"]) == (200, "succeeded", first)
    assert post(client, params={"reuse": "false"}).status_code == 201


def test_run_is_304_until_it_changes(client: TestClient, work: Jobs) -> None:
    run_id = post(client).json()["id"]
    first = client.get(f"/v1/runs/{run_id}")
    same = client.get(f"/v1/runs/{run_id}", headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    trained(work)
    changed = client.get(f"/v1/runs/{run_id}", headers={"if-none-match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "succeeded")


def test_finished_run_has_every_documented_field(client: TestClient, work: Jobs) -> None:
    post(client)
    run = client.get(f"/v1/runs/{trained(work)}").json()
    assert run["best"] == {"epoch": 3, "metric": "val.loss", "value": 2 / 3, "selected_on": "val", "optimistic": False}
    assert run["progress"] == {"epoch": 3, "epochs": 3, "eta_seconds": None}
    assert run["determinism"]["class"] == "test"
    assert run["device"] == {"requested": "auto", "used": "cpu"}
    assert run["stack"] == {"size": 1}
    assert run["last"] == {"train.loss": 1 / 3, "val.loss": 2 / 3}
    assert run["created_at"].endswith("Z")
    assert run["started_at"] <= run["finished_at"]


def test_cancel_is_202_then_200_and_409_for_a_finished_run(client: TestClient, work: Jobs) -> None:
    run_id = post(client).json()["id"]
    assert client.post(f"/v1/runs/{run_id}/cancel").status_code == 202
    assert client.post(f"/v1/runs/{run_id}/cancel").status_code == 200
    post(client)
    refused = client.post(f"/v1/runs/{trained(work)}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "transition_refused")


def test_ids_of_events_are_cursors(client: TestClient, work: Jobs) -> None:
    post(client)
    path = f"/v1/runs/{trained(work)}/events"
    page = client.get(path, params={"limit": 4}).json()
    assert [e["type"] for e in page["data"]] == ["run.created", "run.claimed", "run.started", "epoch"]
    assert page["has_more"] is True
    rest = client.get(path, params={"after": page["next_cursor"]}).json()
    assert [e["type"] for e in rest["data"]] == ["epoch", "epoch", "run.succeeded"]
    assert rest["data"][0]["data"]["metrics"] == {"train.loss": 0.5, "val.loss": 1.0}


@pytest.mark.slow
def test_catalog_and_openapi_name_every_part(client: TestClient) -> None:
    catalog = client.get("/v1/catalog").json()
    document = client.get("/openapi.json").json()
    schema = client.get("/v1/schema/run.json").json()
    assert [part["kind"] for part in catalog["optimizers"]] == sorted(OPTIMIZERS)
    dropout = next(part for part in catalog["regularizers"] if part["kind"] == "dropout")
    assert (dropout["per_run"], dropout["neutral"]) == (["input_p", "p"], {"p": 0.0, "input_p": 0.0})
    for name in ("Dropout", "MLP", "FashionMNIST", "RunBody"):
        assert name in document["components"]["schemas"]
    assert set(schema["required"]) == {"dataset", "model"}
    for path in document["paths"].values():
        for operation in path.values():
            assert "_" in operation["operationId"]


def test_workers_and_capabilities_list_live_workers(client: TestClient, work: Jobs) -> None:
    assert client.get("/v1/workers").json()["data"] == []
    work.register(WORKER)
    assert client.get("/v1/workers").json()["data"][0]["id"] == "wrk_test"
    assert client.get("/v1/capabilities").json()["devices"] == ["cpu"]
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}


def test_missing_dataset_is_refused_with_the_command_that_downloads_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.spec.datasets.fashion_mnist import FashionMNIST

    monkeypatch.setattr(FashionMNIST, "places", ())
    (error,) = post(client, body(dataset={"kind": "fashion_mnist"})).json()["errors"]
    assert error["pointer"] == "/dataset"
    assert "fitwell data fetch fashion_mnist" in error["message"]


def test_runs_are_filtered_sorted_and_cut_to_fields(client: TestClient, work: Jobs) -> None:
    ids = [post(client, body(seed=seed)).json()["id"] for seed in range(3)]
    trained(work)
    queries = {"filter": 'status = "queued" AND seed >= 1', "sort": "created_at", "fields": "seed,status"}
    page = client.get("/v1/runs", params=queries).json()
    assert page["data"] == [
        {"id": ids[1], "status": "queued", "seed": 1},
        {"id": ids[2], "status": "queued", "seed": 2},
    ]
    for wrong, pointer in (({"filter": "a = "}, "filter"), ({"sort": "name"}, "sort"), ({"fields": "x"}, "fields")):
        answer = client.get("/v1/runs", params=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_misplaced_k_is_refused_with_its_right_place(client: TestClient) -> None:
    messages = client.post("/v1/runs", json={"dataset": {"kind": "digits"}, "model": {"kind": "knn", "k": 5}})
    (error,) = messages.json()["errors"]
    assert (messages.status_code, error["pointer"]) == (422, "/model")
    assert error["message"].startswith("a run measures every k from 1 to its epochs")
    body = {"dataset": {"kind": "digits"}, "model": {"kind": "knn"}, "epochs": 50}
    checked = client.post("/v1/runs?validate_only=true", json=body).json()
    assert (checked["parameters"], checked["spec"]["optimizer"]) == (0, None)
    for kind, pointer in {"linear": "/optimizer", "knn": "/epochs"}.items():
        refused = client.post("/v1/runs", json={**body, "model": {"kind": kind}, "epochs": 5000}).json()
        assert [one["pointer"] for one in refused["errors"]] == [pointer]
