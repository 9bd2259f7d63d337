"""The API's contract on a real database, worker's part played through the job source."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request

from service.errors import BadRequest
from service.http.bodies import read_json
from service.http.validation import MAX_ERRORS
from service.runs.bodies import RunBody
from service.runs.history_routes import accepted_format
from service.settings import Settings
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, body, measured
from worker.ports import Outcome
from worker.spec.optimizers import KINDS as OPTIMIZERS


def post(client: TestClient, wanted: Any = None, **options: Any) -> Any:
    return client.post("/v1/runs", json=wanted or BODY, **options)


def trained(work: Jobs, epochs: int = 3, **reports: Any) -> str:
    (claim,) = work.claim(WORKER, limit=1)
    work.started([claim], device="cpu", determinism_class="test")
    for number in range(1, epochs + 1):
        work.record([claim], [measured(claim.run_id, number, train_loss=1 / number, val_loss=2 / number)])
    work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", reports=reports)])
    return claim.run_id


def test_a_submitted_run_is_created_resolved_and_queued(client: TestClient) -> None:
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
    assert client.get("/v1/runs").json()["data"] == []


def test_a_repeated_idempotency_key_replays_the_first_answer(client: TestClient) -> None:
    first = post(client, headers={"idempotency-key": "abc"})
    again = post(client, headers={"idempotency-key": "abc"})
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = post(client, body(seed=1), headers={"idempotency-key": "abc"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_an_equal_finished_run_answers_200_with_its_result(client: TestClient, work: Jobs) -> None:
    first = post(client).json()["id"]
    trained(work)
    again = post(client)
    assert (again.status_code, again.json()["status"], again.json()["reused_from"]) == (200, "succeeded", first)
    assert post(client, params={"reuse": "false"}).status_code == 201


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"dataset": {"kind": "digts"}}, "/dataset/kind", "'digits'"),
    ({"dataset": {}}, "/dataset", "kind"),
    ({"model": {"kind": "mlp", "hiden": [3]}}, "/model/hiden", "'hidden'"),
    ({"model": {"kind": "mlp", "hidden": []}}, "/model/hidden", "at least 1"),
    ({"model": {"kind": "mlp", "hidden": [16, 0]}}, "/model/hidden/1", "greater than or equal to 1"),
    ({"model": {"kind": "mlp", "hidden": [10**9]}}, "/model", "50,000,000"),
    ({"optimizer": {"kind": "sgd"}}, "/optimizer/lr", "required"),
    ({"optimizer": {"kind": "sgd", "lr": "0.1"}}, "/optimizer/lr", "number"),
    ({"optimizer": {"kind": "sgd", "lr": True}}, "/optimizer/lr", "number"),
    ({"optimizer": {"kind": "sgd", "lr": -1}}, "/optimizer/lr", "greater than 0"),
    ({"regularizers": [{"kind": "dropout", "p": 1.5}]}, "/regularizers/0/p", "less than or equal to 0.99"),
    ({"regularizers": {"kind": "l2"}}, "/regularizers", "array"),
    ({"epochs": 0}, "/epochs", "greater than or equal to 1"),
    ({"epochs": 2.5}, "/epochs", "integer"),
    ({"epochs": 10**30}, "/epochs", "less than or equal"),
    ({"seed": -1}, "/seed", "greater than or equal to 0"),
    ({"surprise": 1}, "/surprise", "Unknown field"),
    ({"labels": {"a": 1}}, "/labels/a", "string"),
    ({"device": "abacus"}, "/device", "pattern"),
    ({"dataset": {"kind": "digits", "validation_size": 1442}}, "/dataset/validation_size", "leave none"),
    (
        {"dataset": {"kind": "mnist1d"}, "regularizers": [{"kind": "rotation", "degrees": 5}]},
        "/regularizers/0",
        "images",
    ),
    ({"model": {"kind": "linear"}, "regularizers": [{"kind": "dropout"}]}, "/regularizers/0", "hidden layer"),
    ({"stop": [{"kind": "early_stopping", "metric": "val.los"}]}, "/stop/0/metric", "'val.loss'"),
]


@pytest.mark.parametrize(
    ("changes", "pointer", "said"), WRONG, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_wrong_body_is_refused_with_an_exact_pointer_and_what_would_work(
    client: TestClient, changes: dict[str, Any], pointer: str, said: str
) -> None:
    answer = post(client, body(**changes))
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {"type", "title", "status", "detail", "code", "request_id", "errors"} == set(problem)
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert said in error["message"]
    assert client.get("/v1/runs").json()["data"] == []


def test_an_unknown_kind_lists_the_known_ones(client: TestClient) -> None:
    (error,) = post(client, body(optimizer={"kind": "adma", "lr": 1})).json()["errors"]
    assert error["allowed"] == sorted(OPTIMIZERS)
    assert "Did you mean 'adam'?" in error["message"]


def test_every_wrong_field_is_named_at_once(client: TestClient) -> None:
    problem = post(client, body(epochs=0, seed=-1, dataset={"kind": "x"})).json()
    assert {error["pointer"] for error in problem["errors"]} == {"/epochs", "/seed", "/dataset/kind"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(client: TestClient, number: str) -> None:
    text = json.dumps(body(optimizer={"kind": "sgd", "lr": 0.5})).replace("0.5", number)
    json_type = {"content-type": "application/json"}
    answer = client.post("/v1/runs", content=text, headers=json_type)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/optimizer/lr")
    path = f"/v1/runs/{post(client).json()['id']}"
    answer = client.patch(path, content=f'{{"max_seconds": {number}}}', headers=json_type)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/max_seconds")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "bad_request"),
        (b"", {}, 400, "bad_request"),
        (b"\xff\xfe", {}, 400, "bad_request"),
        (b"[]", {}, 422, "invalid_request"),
        (b"null", {}, 422, "invalid_request"),
        (b"[" * 10_000, {}, 400, "bad_request"),
        (b"{}", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b" " * 1_000_001, {}, 413, "body_too_large"),
    ],
    ids=["cut", "empty", "no UTF-8", "array", "null", "deep", "plain text", "large"],
)
def test_a_body_that_is_no_spec_at_all_is_a_clear_problem(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.post("/v1/runs", content=content, headers={"content-type": "application/json", **headers})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_of_very_many_wrong_fields_the_first_are_named(client: TestClient) -> None:
    problem = post(client, body(**{f"x{number}": 1 for number in range(3000)})).json()
    assert problem["detail"] == "3,000 errors; these are the first."
    assert [error["pointer"] for error in problem["errors"]] == [f"/x{number}" for number in range(MAX_ERRORS)]


def test_a_spec_of_very_many_parts_is_refused_wherever_it_would_be_kept(client: TestClient) -> None:
    choice: dict[str, Any] = {"kind": "random_choice", "of": [{"kind": "blur"}] * 16}
    large = body(regularizers=[choice] * 32)
    assert post(client, large).status_code == 201
    larger = body(regularizers=[*[choice] * 31, {"kind": "random_choice", "of": [choice] * 16}])
    for path, wanted in (
        ("/v1/runs", larger),
        ("/v1/runs/bulk", {"runs": [larger]}),
        ("/v1/studies", {"base": larger}),
        ("/v1/studies", {"base": BODY, "arms": {"a": {"regularizers_add": larger["regularizers"]}}}),
    ):
        answer = client.post(path, json=wanted)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_many_parts")
        assert "at most 600 parts" in answer.json()["errors"][0]["message"]


def test_a_body_that_breaks_off_is_a_refusal_and_no_bug(settings: Settings) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}, receive)
    with pytest.raises(BadRequest, match="broke off"):
        asyncio.run(read_json(request, RunBody, settings))


def test_a_chunked_body_is_counted_as_it_arrives(client: TestClient) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 100_000
            yield b" " * 100_000

    answer = client.post("/v1/runs", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/runs/run_nothing", 404),
        ("GET", "/v1/runs/run_nothing/history", 404),
        ("GET", "/v1/runs/run_nothing/events", 404),
        ("POST", "/v1/runs/run_nothing/cancel", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/runs", 405),
        ("GET", "/v1/runs?limit=0", 422),
        ("GET", "/v1/runs?limit=many", 422),
        ("GET", "/v1/runs?statsu=queued", 422),
        ("GET", "/v1/runs?status=lost", 422),
        ("GET", "/v1/runs?label=novalue", 422),
        ("GET", "/v1/runs?after=rubbish", 400),
        ("GET", "/v1/events?after=-1", 422),
        ("GET", "/healthz?x=1", 422),
    ],
)
def test_every_refusal_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_sane_request_id_is_kept_and_another_is_replaced(client: TestClient) -> None:
    assert client.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert client.get("/healthz", headers={"x-request-id": "a b\t"}).headers["x-request-id"].startswith("req_")


def test_a_run_is_304_until_it_changes(client: TestClient, work: Jobs) -> None:
    run_id = post(client).json()["id"]
    first = client.get(f"/v1/runs/{run_id}")
    same = client.get(f"/v1/runs/{run_id}", headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    trained(work)
    changed = client.get(f"/v1/runs/{run_id}", headers={"if-none-match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "succeeded")


def test_a_finished_run_shows_all_that_the_contract_names(client: TestClient, work: Jobs) -> None:
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


def test_a_history_comes_as_json_csv_and_ndjson_with_the_same_values(client: TestClient, work: Jobs) -> None:
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
def test_a_weight_that_is_no_number_is_no_bug(weight: str) -> None:
    assert accepted_format(f"text/csv;q={weight}, image/png") == "csv"


def test_the_confusion_matrix_comes_with_recall_and_precision_also_of_a_reused_run(
    client: TestClient, work: Jobs
) -> None:
    counts = [[9, 1, 0], [2, 8, 0], [4, 0, 0], *([[0] * 3] * 7)]
    counts = [row + [0] * 7 for row in counts]
    post(client)
    path = f"/v1/runs/{trained(work, confusion=counts)}/confusion"
    shown = client.get(path).json()
    assert (shown["epoch"], shown["split"], shown["counts"]) == (3, "test", counts)
    first, _, third = shown["classes"][:3]
    assert first == {"name": "0", "rows": 10, "predicted": 15, "recall": 0.9, "precision": 0.6}
    assert (third["recall"], third["precision"]) == (0.0, None)
    again = post(client)
    assert again.status_code == 200
    reused = client.get(f"/v1/runs/{again.json()['id']}/confusion").json()
    assert reused["counts"] == counts


def test_what_was_not_measured_is_404_with_the_reason(client: TestClient, work: Jobs) -> None:
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


def test_a_history_is_304_until_an_epoch_is_added(client: TestClient, work: Jobs) -> None:
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


def test_cancel_is_202_then_200_and_409_once_it_ended_otherwise(client: TestClient, work: Jobs) -> None:
    run_id = post(client).json()["id"]
    assert client.post(f"/v1/runs/{run_id}/cancel").status_code == 202
    assert client.post(f"/v1/runs/{run_id}/cancel").status_code == 200
    post(client)
    refused = client.post(f"/v1/runs/{trained(work)}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "transition_refused")


def test_events_page_and_their_ids_are_cursors(client: TestClient, work: Jobs) -> None:
    post(client)
    path = f"/v1/runs/{trained(work)}/events"
    page = client.get(path, params={"limit": 4}).json()
    assert [e["type"] for e in page["data"]] == ["run.created", "run.claimed", "run.started", "epoch"]
    assert page["has_more"] is True
    rest = client.get(path, params={"after": page["next_cursor"]}).json()
    assert [e["type"] for e in rest["data"]] == ["epoch", "epoch", "run.succeeded"]
    assert rest["data"][0]["data"]["metrics"] == {"train.loss": 0.5, "val.loss": 1.0}


def test_the_catalog_and_openapi_name_every_part(client: TestClient) -> None:
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


def test_workers_and_capabilities_show_who_is_alive(client: TestClient, work: Jobs) -> None:
    assert client.get("/v1/workers").json()["data"] == []
    work.register(WORKER)
    assert client.get("/v1/workers").json()["data"][0]["id"] == "wrk_test"
    assert client.get("/v1/capabilities").json()["devices"] == ["cpu"]
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}


def test_a_dataset_that_is_not_there_is_refused_with_the_command(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.spec.datasets.fashion_mnist import FashionMNIST

    monkeypatch.setattr(FashionMNIST, "places", ())
    (error,) = post(client, body(dataset={"kind": "fashion_mnist"})).json()["errors"]
    assert error["pointer"] == "/dataset"
    assert "fitwell data fetch fashion_mnist" in error["message"]


def test_parquet_holds_what_json_says_and_what_it_cannot(client: TestClient, work: Jobs) -> None:
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
def test_a_thinned_history_says_so_and_keeps_first_last_and_best(client: TestClient, work: Jobs, points: int) -> None:
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


def test_many_histories_in_one_answer(client: TestClient, work: Jobs) -> None:
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


def test_runs_are_filtered_sorted_and_cut_to_fields(client: TestClient, work: Jobs) -> None:
    ids = [post(client, body(seed=seed)).json()["id"] for seed in range(3)]
    trained(work)
    asked = {"filter": 'status = "queued" AND seed >= 1', "sort": "created_at", "fields": "seed,status"}
    page = client.get("/v1/runs", params=asked).json()
    assert page["data"] == [
        {"id": ids[1], "status": "queued", "seed": 1},
        {"id": ids[2], "status": "queued", "seed": 2},
    ]
    for wrong, pointer in (({"filter": "a = "}, "filter"), ({"sort": "name"}, "sort"), ({"fields": "x"}, "fields")):
        answer = client.get("/v1/runs", params=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_a_k_of_k_nearest_neighbours_is_told_where_it_belongs(client: TestClient) -> None:
    told = client.post("/v1/runs", json={"dataset": {"kind": "digits"}, "model": {"kind": "knn", "k": 5}})
    (error,) = told.json()["errors"]
    assert (told.status_code, error["pointer"]) == (422, "/model")
    assert error["message"].startswith("a run measures every k from 1 to its epochs")
    body = {"dataset": {"kind": "digits"}, "model": {"kind": "knn"}, "epochs": 50}
    checked = client.post("/v1/runs?validate_only=true", json=body).json()
    assert (checked["parameters"], checked["spec"]["optimizer"]) == (0, None)
    for kind, pointer in {"linear": "/optimizer", "knn": "/epochs"}.items():
        refused = client.post("/v1/runs", json={**body, "model": {"kind": kind}, "epochs": 5000}).json()
        assert [one["pointer"] for one in refused["errors"]] == [pointer]


def test_a_wrong_value_of_a_parameter_that_is_given_several_times_is_told_by_the_parameters_name(
    client: TestClient,
) -> None:
    refused = client.get("/v1/runs", params={"status": ["queued", "lost"]}).json()
    assert refused["errors"][0]["pointer"] == "status"
    assert refused["detail"].startswith("status: ")
