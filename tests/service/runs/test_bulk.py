"""Many runs in one request: all or none, with pointers to errors."""

from __future__ import annotations

from fastapi.testclient import TestClient

from service.workers.jobs import Jobs
from tests.conftest import WORKER, body


def total(client: TestClient) -> int:
    return len(client.get("/v1/runs?limit=1000").json()["data"])


def test_runs_are_queued_in_the_order_of_the_request_and_share_a_stack(client: TestClient, work: Jobs) -> None:
    answer = client.post("/v1/runs/bulk", json={"runs": [body(seed=seed) for seed in range(5)]})
    assert answer.status_code == 201
    created = answer.json()["data"]
    assert [run["seed"] for run in created] == list(range(5))
    assert {claim.run_id for claim in work.claim(WORKER, limit=8)} == {run["id"] for run in created}


def test_one_invalid_run_refuses_all_with_a_pointer_to_it(client: TestClient) -> None:
    bad = body(optimizer={"kind": "sgd", "lr": -1})
    answer = client.post("/v1/runs/bulk", json={"runs": [body(), bad]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/runs/1/optimizer/lr")
    unfit = body(dataset={"kind": "digits", "train_size": 5000})
    answer = client.post("/v1/runs/bulk", json={"runs": [body(), unfit]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/runs/1/dataset/train_size")
    empty, many = ({"runs": [body()] * count} for count in (0, 501))
    assert {client.post("/v1/runs/bulk", json=request).status_code for request in (empty, many)} == {422}
    assert total(client) == 0


def test_repeated_idempotency_key_queues_nothing(client: TestClient) -> None:
    request = {"runs": [body(seed=seed) for seed in range(3)]}
    first, again = (client.post("/v1/runs/bulk", json=request, headers={"idempotency-key": "k"}) for _ in range(2))
    assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
    assert total(client) == 3


def test_runs_are_cancelled_by_ids_or_by_a_filter(client: TestClient, work: Jobs) -> None:
    ids = [client.post("/v1/runs", json=body(seed=seed, labels={"of": "me"})).json()["id"] for seed in range(4)]
    other = client.post("/v1/runs", json=body(seed=9)).json()["id"]
    by_id = client.post("/v1/runs/cancel", json={"ids": ids[:2]})
    assert (by_id.status_code, by_id.json()["asked"], by_id.json()["unchanged"]) == (202, 2, 0)
    assert client.post("/v1/runs/cancel", json={"ids": ids[:2]}).json()["unchanged"] == 2
    by_filter = client.post("/v1/runs/cancel", json={"filter": 'labels.of = "me"'}).json()
    assert (by_filter["asked"], by_filter["unchanged"]) == (2, 0)
    assert [claim.run_id for claim in work.claim(WORKER, limit=8)] == [other]


def test_invalid_selection_cancels_nothing(client: TestClient) -> None:
    run_id = client.post("/v1/runs", json=body()).json()["id"]
    for request, status in (
        ({}, 422),
        ({"ids": [run_id], "filter": "seed = 0"}, 422),
        ({"filter": "seed ="}, 422),
        ({"ids": [run_id, "run_none"]}, 404),
    ):
        assert client.post("/v1/runs/cancel", json=request).status_code == status
    assert client.get(f"/v1/runs/{run_id}").json()["status"] == "queued"
