from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.studies.study import StudyMetadata
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER
from tests.service.studies.training import STUDY, compare, post, some_loss, train
from worker.ports import Outcome


def test_study_is_queued_in_one_request(client: TestClient) -> None:
    answer = post(client)
    study = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/studies/{study['id']}"
    assert (study["object"], study["status"], study["terminal"]) == ("study", "queued", False)
    assert (study["metric"], study["at"], study["baseline"], study["looks"]) == ("test.loss", "best", "plain", 1)
    assert study["seeds"] == list(range(8))
    assert [(arm["id"], arm["runs"]) for arm in study["arms"]] == [("plain", 8), ("dropout", 8)]
    assert study["progress"] == {"runs": 16, "by_status": {"queued": 16}, "epoch": 0, "epochs": 48}
    runs = client.get("/v1/runs", params={"study_id": study["id"], "limit": 100}).json()["data"]
    pairs = sorted((run["arm"], run["seed"]) for run in runs)
    assert pairs == [(arm, seed) for arm in ("dropout", "plain") for seed in range(8)]
    assert {run["study_id"] for run in runs} == {study["id"]}
    assert client.get(f"/v1/studies/{study['id']}").json() == study
    assert client.get("/v1/studies").json()["data"] == [study]


def test_submitted_metadata_is_returned(client: TestClient) -> None:
    metadata = {"name": "does it help?"}
    study = post(client, **metadata).json()
    assert {name: study[name] for name in StudyMetadata.model_fields} == metadata


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"arms": {"a/b": {"dataset": {"validation_size": 1442}}}}, "/arms/a~1b/dataset/validation_size"),
        ({"arms": {"a": {}}, "grid": {"dataset.train_size": [10, 5000]}}, "/grid/dataset.train_size"),
        ({"dataset": {"kind": "digits", "validation_size": 1442}, "arms": {"a": {}}}, "/base/dataset/validation_size"),
    ],
)
def test_invalid_arm_is_reported_with_its_pointer_in_the_study(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    base = {**BODY, "dataset": changes.pop("dataset", {"kind": "digits", "train_size": 100})}
    answer = client.post("/v1/studies", json={"base": base, "seeds": 2, **changes})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


LR = "/sample/space/optimizer.lr"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"base": {**BODY, "epochs": float("nan")}, "arms": {"a": {"epochs": 2}}}, "/base/epochs"),
        (
            {
                "sample": {
                    "n": 1,
                    "space": {"optimizer.lr": {"distribution": "choice", "values": [0.1] * 30 + [-1e999]}},
                }
            },
            f"{LR}/values/30",
        ),
        (
            {"sample": {"n": 1, "space": {"optimizer.lr": {"distribution": "uniform", "low": 0, "high": 1e999}}}},
            f"{LR}/high",
        ),
    ],
)
def test_numbers_that_json_cannot_represent_are_refused_anywhere_in_a_study(
    client: TestClient, changes: dict[str, Any], pointer: str
) -> None:
    content = json.dumps({"base": BODY, **changes})
    answer = client.post("/v1/studies", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])


def test_study_is_created_completely_or_not_at_all(client: TestClient) -> None:
    answer = post(client, arms={"plain": {}, "wrong": {"optimizer": {"lr": -1.0}}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/arms/wrong/optimizer/lr"
    assert client.get("/v1/runs").json()["data"] == []
    assert client.get("/v1/studies").json()["data"] == []


def test_idempotency_key_creates_one_study_for_two_posts(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first, again = (client.post("/v1/studies", json=STUDY, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert client.post("/v1/studies", json={**STUDY, "seeds": 2}, headers=headers).status_code == 422
    assert len(client.get("/v1/studies").json()["data"]) == 1


def test_idempotency_key_adds_seeds_once(client: TestClient, work: Jobs) -> None:
    study, headers = post(client, seeds=2).json(), {"Idempotency-Key": "k"}
    train(client, work, some_loss)
    url = f"/v1/studies/{study['id']}/seeds"
    first, again = (client.post(url, json={"add": 2}, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code, first.json()) == (202, 202, again.json())
    assert again.headers["idempotency-replayed"] == "true"
    now = client.get(f"/v1/studies/{study['id']}").json()
    assert (now["seeds"], now["looks"], now["progress"]["runs"]) == ([0, 1, 2, 3], 2, 8)
    assert client.post(url, json={"add": 3}, headers=headers).json()["code"] == "idempotency_key_reused"


def test_preview_counts_and_warns_and_queues_nothing(client: TestClient, work: Jobs) -> None:
    preview = client.post("/v1/studies/preview", json={**STUDY, "seeds": 4}).json()
    assert (preview["runs"], preview["reused"], preview["stacks"], preview["min_seeds_possible"]) == (8, 0, 1, 6)
    assert "at least 6" in preview["warnings"][0]
    assert preview["estimated_seconds"] > 0
    assert client.get("/v1/runs").json()["data"] == []
    adam = {"optimizer": {"kind": "adam", "lr": 0.01}}
    preview = client.post("/v1/studies/preview", json={**STUDY, "arms": {**STUDY["arms"], "adam": adam}}).json()  # type: ignore[dict-item]
    assert (preview["stacks"], preview["min_seeds_possible"], preview["warnings"]) == (2, 6, [])
    post(client, seeds=[2, 3])
    train(client, work, some_loss)
    preview = client.post("/v1/studies/preview", json=STUDY).json()
    assert (preview["runs"], preview["reused"]) == (16, 4)


def test_equal_runs_are_reused_across_studies_and_compare_alike(client: TestClient, work: Jobs) -> None:
    first = post(client).json()
    train(client, work, some_loss)
    second = post(client).json()
    assert (second["status"], second["progress"]["by_status"]) == ("finished", {"succeeded": 16})
    one, other = compare(client, first), compare(client, second)
    assert (one.pop("looks_from"), other.pop("looks_from")) == ([], [one["study_id"]])
    assert {k: v for k, v in one.items() if k != "study_id"} == {k: v for k, v in other.items() if k != "study_id"}


@pytest.mark.slow
def test_cancel_and_delete(client: TestClient, work: Jobs) -> None:
    study = post(client, seeds=2).json()
    url = f"/v1/studies/{study['id']}"
    held = work.claim(WORKER, limit=1)
    refused = client.delete(url)
    assert (refused.status_code, refused.json()["code"]) == (409, "study_active")
    cancelled = client.post(f"{url}/cancel")
    assert (cancelled.status_code, cancelled.json()["progress"]["by_status"]) == (
        202,
        {"cancelled": 3, "cancelling": 1},
    )
    assert client.post(f"{url}/cancel").status_code == 200
    assert client.delete(url).status_code == 409
    work.finish(held, [Outcome(run_id=held[0].run_id, status="cancelled")])
    assert client.delete(url).status_code == 204
    assert client.get(url).status_code == 404
    assert client.get(f"/v1/runs/{held[0].run_id}").status_code == 404


def test_unknown_ids_are_404(client: TestClient) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/compare")):
        answer = client.request(method, f"/v1/studies/study_nothing{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "study_not_found")
    answer = client.post("/v1/studies/study_nothing/seeds", json={"add": 1})
    assert answer.json()["code"] == "study_not_found"


def test_study_that_is_too_large_is_refused_with_the_limit(client: TestClient) -> None:
    answer = post(client, seeds=9999)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_runs")
    assert "5,000" in answer.json()["detail"]


@pytest.mark.slow
def test_added_seeds_are_held_to_the_same_limit(client: TestClient) -> None:
    study = post(client, seeds=[2**53 - 2]).json()
    url = f"/v1/studies/{study['id']}/seeds"
    assert client.post(url, json={"add": 1}).json()["seeds"] == [2**53 - 2, 2**53 - 1]
    for body, code in (({"add": 1}, "no_seeds_left"), ({"seeds": list(range(2499))}, "too_many_runs")):
        answer = client.post(url, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, code)
    assert client.post(url, json={"seeds": [2**53]}).status_code == 422


def test_grid_too_large_to_expand_is_refused_at_once(client: TestClient) -> None:
    values = list(range(1, 1001))
    grid = dict.fromkeys(("epochs", "batch_size", "model.hidden.0", "dataset.train_size", "optimizer.lr"), values)
    for path in ("/v1/studies", "/v1/studies/preview"):
        answer = client.post(path, json={**STUDY, "grid": grid})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_runs")
        assert "2,000,000,000,000,000 arms" in answer.json()["detail"]
