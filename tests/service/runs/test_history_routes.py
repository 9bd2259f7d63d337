"""Histories, confusion matrices and weights."""

from __future__ import annotations

import csv
import io
import json

import pytest
from fastapi.testclient import TestClient

from service.runs.history_routes import accepted_format
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, body, measured
from tests.service.runs.requests import post, trained


def test_history_comes_as_json_csv_and_ndjson_with_the_same_values(client: TestClient, work: Jobs) -> None:
    post(client)
    path = f"/v1/runs/{trained(work)}/history"
    history = client.get(path).json()
    assert set(history) == {
        "object", "run_id", "complete", "downsampled", "epoch", "steps", "revision", "series", "nonfinite",
    }  # fmt: skip
    assert (history["complete"], history["downsampled"], history["epoch"]) == (True, False, [1, 2, 3])
    assert history["series"]["train.loss"] == [1.0, 0.5, 1 / 3]
    table = list(csv.DictReader(io.StringIO(client.get(path, headers={"accept": "text/csv"}).text)))
    lines = [json.loads(line) for line in client.get(path, params={"format": "ndjson"}).text.splitlines()]
    assert [float(row["train.loss"]) for row in table] == [row["train.loss"] for row in lines] == [1.0, 0.5, 1 / 3]
    refused = client.get(path, headers={"accept": "image/png"})
    assert (refused.status_code, "text/csv" in refused.json()["detail"]) == (406, True)


@pytest.mark.parametrize("weight", ["\xb2", "", ".", "1.1.1", "0." + "1" * 5000])
def test_malformed_quality_is_ignored(weight: str) -> None:
    assert accepted_format(f"text/csv;q={weight}, image/png") == "csv"


def test_confusion_matrix_has_recall_and_precision_even_for_a_reused_run(client: TestClient, work: Jobs) -> None:
    counts = [[9, 1, 0], [2, 8, 0], [4, 0, 0], *([[0] * 3] * 7)]
    counts = [row + [0] * 7 for row in counts]
    post(client)
    path = f"/v1/runs/{trained(work, confusion=counts)}/confusion"
    view = client.get(path).json()
    assert (view["epoch"], view["split"], view["counts"]) == (3, "test", counts)
    first, _, third = view["classes"][:3]
    assert first == {"name": "0", "rows": 10, "predicted": 15, "recall": 0.9, "precision": 0.6}
    assert (third["recall"], third["precision"]) == (0.0, None)
    again = post(client)
    assert again.status_code == 200
    reused = client.get(f"/v1/runs/{again.json()['id']}/confusion").json()
    assert reused["counts"] == counts


def test_missing_measurement_is_404_with_the_reason(client: TestClient, work: Jobs) -> None:
    run_id = post(client).json()["id"]
    queued = client.get(f"/v1/runs/{run_id}/confusion")
    assert (queued.status_code, queued.json()["code"]) == (404, "not_measured")
    assert "is 'queued'" in queued.json()["detail"]
    never = client.get(f"/v1/runs/{trained(work)}/confusion").json()
    assert '"evaluate.test"' in never["detail"]


def test_since_epoch_is_exclusive_and_metrics_choose_series(client: TestClient, work: Jobs) -> None:
    post(client)
    path = f"/v1/runs/{trained(work)}/history"
    later = client.get(path, params={"since_epoch": 1, "metrics": "val.loss"}).json()
    assert (later["epoch"], later["series"]) == ([2, 3], {"val.loss": [1.0, 2 / 3]})


def test_history_is_304_until_an_epoch_is_added(client: TestClient, work: Jobs) -> None:
    run_id = post(client).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.record([claim], [measured(run_id, 1)])
    path = f"/v1/runs/{run_id}/history"
    tag = client.get(path).headers["etag"]
    work.heartbeat(WORKER, [claim])
    assert client.get(path, headers={"if-none-match": tag}).status_code == 304
    assert client.get(path, headers={"if-none-match": tag, "accept": "text/csv"}).status_code == 200
    work.record([claim], [measured(run_id, 2)])
    assert client.get(path, headers={"if-none-match": tag}).json()["epoch"] == [1, 2]


def test_parquet_has_the_values_of_json_and_those_json_cannot_represent(client: TestClient, work: Jobs) -> None:
    import pyarrow.parquet

    run_id = post(client).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    work.record([claim], [measured(run_id, 1, val_loss=0.5, train_loss=0.25)])
    work.record([claim], [measured(run_id, 2, val_loss=float("inf"), train_loss=float("nan"))])
    answer = client.get(f"/v1/runs/{run_id}/history", headers={"Accept": "application/vnd.apache.parquet"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pydict()
    assert (table["epoch"], table["val.loss"]) == ([1, 2], [0.5, float("inf")])
    assert table["train.loss"][0] == 0.25
    assert table["train.loss"][1] != table["train.loss"][1]
    assert client.get(f"/v1/runs/{run_id}/history?format=parquet").content[:4] == b"PAR1"


@pytest.mark.parametrize("points", [2, 3, 7, 40])
def test_thinned_history_is_marked_and_includes_first_last_and_best(
    client: TestClient, work: Jobs, points: int
) -> None:
    run_id = post(client, body(epochs=40)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    for number in range(1, 41):
        work.record([claim], [measured(run_id, number, val_loss=abs(number - 23) + 1.0)])
    answer = client.get(f"/v1/runs/{run_id}/history", params={"max_points": points})
    history = answer.json()
    assert history["downsampled"] == (points < 40) == (answer.headers.get("fitwell-downsampled") == "true")
    assert len(history["epoch"]) == points
    assert (history["epoch"][0], history["epoch"][-1]) == (1, 40)
    assert (23 in history["epoch"]) == (points > 2)
    assert history["series"]["val.loss"] == [abs(epoch - 23) + 1.0 for epoch in history["epoch"]]
    whole = client.get(f"/v1/runs/{run_id}/history")
    assert (whole.json()["downsampled"], len(whole.json()["epoch"])) == (False, 40)
    assert (whole.headers["etag"] == answer.headers["etag"]) is False


def test_thinned_history_includes_the_spikes_of_every_series(client: TestClient, work: Jobs) -> None:
    run_id = post(client, body(epochs=200)).json()["id"]
    (claim,) = work.claim(WORKER, limit=1)
    for number in range(1, 201):
        spike = {57: 9.0, 143: -3.0}.get(number, 1.0)
        work.record([claim], [measured(run_id, number, val_loss=2.0, train_loss=spike)])
    history = client.get(f"/v1/runs/{run_id}/history", params={"max_points": 20}).json()
    assert len(history["epoch"]) == 20
    assert {57, 143} <= set(history["epoch"])


@pytest.mark.slow
def test_many_histories_are_returned_in_one_response(client: TestClient, work: Jobs) -> None:
    ids = [post(client, body(seed=seed)).json()["id"] for seed in range(3)]
    for _ in ids:
        trained(work)
    listed = client.get("/v1/histories", params={"ids": ",".join(ids), "metrics": "val.loss"}).json()
    assert [one["run_id"] for one in listed["data"]] == ids
    assert all(list(one["series"]) == ["val.loss"] for one in listed["data"])
    lines = client.get("/v1/histories", params={"ids": ids[1], "format": "ndjson"})
    assert [json.loads(line)["run_id"] for line in lines.text.splitlines()] == [ids[1]]
    study = client.post("/v1/studies", json={"base": BODY, "seeds": 3}).json()
    listed = client.get("/v1/histories", params={"study_id": study["id"], "max_points": 2}).json()
    assert [one["epoch"] for one in listed["data"]] == [[1, 3]] * 3
    for params, status in (({}, 422), ({"ids": "run_nothing"}, 404), ({"study_id": "study_nothing"}, 404)):
        assert client.get("/v1/histories", params=params).status_code == status
    assert client.get("/v1/histories", params={"ids": ids[0]}, headers={"Accept": "text/csv"}).status_code == 406
