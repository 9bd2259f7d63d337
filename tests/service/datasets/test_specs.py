"""Specs that name uploads: facts that the server adds, refusals, and results that survive a deletion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.errors import SpecRefused
from service.runs.submission.review import review
from service.settings import Settings
from service.store.database import open_engine
from service.workers.jobs import Jobs
from tests.conftest import BODY, WORKER, MigratedHome, measured
from tests.service.datasets.conftest import OCTETS
from tests.service.datasets.upload_files import csv_text, iris, npz
from worker.ports import Outcome
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow

Y = np.arange(20) % 2
Kinds = dict[str, str]
"""The ids of some uploads."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, migrated_home: MigratedHome) -> Settings:
    return Settings(data_dir=migrated_home(tmp_path_factory.mktemp("specs")))


@pytest.fixture(scope="module")
def client(here: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(here), raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture(scope="module")
def work(here: Settings, client: TestClient) -> Iterator[Jobs]:
    engine = open_engine(here)
    yield Jobs(engine, here)
    engine.dispose()


def send(client: TestClient, content: bytes, **params: Any) -> str:
    answer = client.post("/v1/datasets", params=params, content=content, headers=OCTETS)
    assert answer.status_code in (200, 201), answer.text
    created: str = answer.json()["id"]
    return created


@pytest.fixture(scope="module")
def ids(client: TestClient) -> Kinds:
    coloured = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    return {
        "iris": send(client, npz(**iris()), name="iris"),
        "table": send(client, csv_text(["age", "city", "y"], [[i, "ab"[i % 2], "uvw"[i % 3]] for i in range(30)])),
        "coloured": send(client, npz(x=coloured, y=Y), name="coloured"),
        "numbers": send(client, npz(x=np.zeros((30, 2)), y=np.linspace(0, 1, 30)), name="numbers"),
    }


def body(dataset_id: str, **changes: Any) -> dict[str, Any]:
    return {**BODY, "dataset": {"kind": "uploaded", "id": dataset_id}, **changes}


def error_of(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    result: dict[str, Any] = error
    return result


def test_facts_of_the_upload_are_filled_in_and_a_fifth_validates(client: TestClient, ids: Kinds) -> None:
    dataset = client.post("/v1/runs", json=body(ids["iris"])).json()["spec"]["dataset"]
    assert dataset["content"] == {
        "task": "classification",
        "shape": [4],
        "classes": ["0", "1", "2"],
        "rows_train": 120,
        "rows_test": 30,
    }
    assert dataset["validation_size"] == 24
    folded = {"kind": "uploaded", "id": ids["iris"], "fold": {"index": 1, "of": 5}}
    assert client.post("/v1/runs", json={**BODY, "dataset": folded}).json()["spec"]["dataset"]["validation_size"] == 0
    query = {"kind": "uploaded", "id": ids["iris"], "validation_size": 0}
    assert client.post("/v1/runs", json={**BODY, "dataset": query}).json()["spec"]["dataset"]["validation_size"] == 0


@pytest.mark.parametrize(
    ("columns", "features"),
    [
        ({}, 3),
        ({"category": {"encode": "hash", "buckets": 5}}, 6),
        ({"category": {"encode": "embedding"}}, 3),
        ({"leave_out": ["city"]}, 1),
    ],
)
def test_number_of_features_follows_from_the_columns_of_the_spec(
    columns: dict[str, Any], features: int, client: TestClient, ids: Kinds
) -> None:
    dataset = {"kind": "uploaded", "id": ids["table"], "columns": columns}
    run = client.post("/v1/runs", json={**BODY, "dataset": dataset}).json()
    assert (run["spec"]["dataset"]["content"]["layout"], run["spec"]["dataset"]["content"]["shape"]) == (2, [features])


def test_tokens_beyond_the_vocabulary_are_refused_at_submission(client: TestClient, ids: Kinds) -> None:
    dataset = {"kind": "uploaded", "id": ids["table"], "standardize": False}
    models = {
        n: {"kind": "sequential", "layers": [{"kind": "embedding", "vocabulary": n, "width": 2}]} for n in (29, 30)
    }
    error = error_of(client.post("/v1/runs", json={**BODY, "dataset": dataset, "model": models[29]}))
    assert (error["pointer"], error["allowed"]) == ("/model/layers/0/vocabulary", [30])
    assert "'age' has tokens up to 29" in error["message"]
    assert client.post("/v1/runs", json={**BODY, "dataset": dataset, "model": models[30]}).status_code == 201


@pytest.mark.parametrize(
    ("columns", "pointer", "allowed"),
    [
        ({"by_name": {"name": {"kind": "number"}}}, "by_name/name", ["age", "city"]),
        ({"by_name": {"city": {"kind": "number"}}}, "by_name/city", ["category"]),
        ({"leave_out": ["age", "town"]}, "leave_out/1", ["age", "city"]),
        ({"leave_out": ["age", "city"]}, "leave_out", []),
        ({"by_name": {"age": {"kind": "category", "encode": "embedding"}}}, "by_name/age", ["number"]),
        ({"category": {"encode": "embedding", "width": 3}}, "category/width", []),
    ],
)
def test_column_that_cannot_be_prepared_is_refused_by_name(
    columns: dict[str, Any], pointer: str, allowed: list[str], client: TestClient, ids: Kinds
) -> None:
    dataset = {"kind": "uploaded", "id": ids["table"], "columns": columns}
    error = error_of(client.post("/v1/runs", json={**BODY, "dataset": dataset}))
    assert (error["pointer"], error["allowed"]) == (f"/dataset/columns/{pointer}", allowed)
    dataset["id"] = ids["iris"]
    assert error_of(client.post("/v1/runs", json={**BODY, "dataset": dataset}))["pointer"] == "/dataset/columns"


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [({"columns": {"leave_out": ["town"]}}, "columns/leave_out/0"), ({"id": f"dataset_{'0' * 64}"}, "id")],
)
def test_error_of_another_dataset_of_a_spec_has_its_place(
    changed: dict[str, Any], pointer: str, client: TestClient, ids: Kinds
) -> None:
    wrong = {"kind": "uploaded", "id": ids["table"], **changed}
    plain = {"kind": "distillation", "teachers": [{"spec": body(ids["table"])}]}
    for part, place in (
        ({**plain, "transfer": {"dataset": wrong}}, "transfer/dataset"),
        ({**plain, "teachers": [{"spec": {**BODY, "dataset": wrong}}]}, "teachers/0/spec/dataset"),
    ):
        error = error_of(client.post("/v1/runs", json=body(ids["table"], regularizers=[part])))
        assert error["pointer"] == f"/regularizers/0/{place}/{pointer}"


def test_facts_sent_by_clients_are_ignored(client: TestClient, ids: Kinds) -> None:
    honest = client.post("/v1/runs?validate_only=true", json=body(ids["iris"])).json()
    lie = {"task": "regression", "shape": [9, 9], "classes": ["a"], "rows_train": 10**9, "rows_test": 1}
    dataset = {"kind": "uploaded", "id": ids["iris"], "content": lie}
    reply = client.post("/v1/runs?validate_only=true", json={**BODY, "dataset": dataset}).json()
    assert reply == honest


def test_unknown_dataset_is_refused_with_the_existing_ones(client: TestClient, ids: Kinds) -> None:
    for wrong in ("dataset_" + 64 * "0", "iris", "../../x", ""):
        for path in ("/v1/runs", "/v1/runs?validate_only=true"):
            error = error_of(client.post(path, json=body(wrong)))
            assert (error["pointer"], error["code"]) == ("/dataset/id", "dataset_not_found")
            assert set(ids.values()) <= set(error["allowed"])
            assert "(iris)" in error["message"]


def test_parts_for_classes_are_refused_in_regression(client: TestClient, ids: Kinds) -> None:
    assert client.post("/v1/runs?validate_only=true", json=body(ids["numbers"])).status_code == 200
    smoothed = {"regularizers": [{"kind": "l2", "strength": 0.1}, {"kind": "label_smoothing"}]}
    error = error_of(client.post("/v1/runs", json=body(ids["numbers"], **smoothed)))
    assert (error["pointer"], error["code"]) == ("/regularizers/1", "incompatible")
    assert "needs classes" in error["message"]
    error = error_of(client.post("/v1/studies", json={"base": body(ids["numbers"], **smoothed)}))
    assert "needs classes" in error["message"]
    error = error_of(client.post("/v1/runs", json=body(ids["iris"], loss={"kind": "squared"})))
    assert (error["pointer"], "leave loss out" in error["message"]) == ("/loss", True)


def test_image_operations_are_refused_for_tables(client: TestClient, ids: Kinds) -> None:
    rotated = {"regularizers": [{"kind": "rotation", "degrees": 5}, {"kind": "hue", "amount": 0.1}]}
    assert client.post("/v1/runs", json=body(ids["coloured"], **rotated)).status_code == 201
    rotated["regularizers"].pop()
    error = error_of(client.post("/v1/runs", json=body(ids["iris"], **rotated)))
    assert "choose a dataset of images" in error["message"]
    assert client.post("/v1/runs", json=body(ids["coloured"], model={"kind": "cnn"})).status_code == 201


def test_rotation_of_large_images_is_refused_before_it_exhausts_memory(here: Settings) -> None:
    content = {"task": "classification", "shape": [3, 224, 224], "classes": ["a", "b"], "rows_train": 9, "rows_test": 9}
    dataset = {"kind": "uploaded", "id": f"dataset_{'0' * 64}", "content": content}
    choice = {"kind": "random_choice", "of": [{"kind": "rotation", "degrees": 180}, {"kind": "blur"}]}
    for part in ({"kind": "rotation", "degrees": 180}, choice):
        run = RunSpec.model_validate_json(json.dumps({**BODY, "dataset": dataset, "regularizers": [part]}))
        with pytest.raises(SpecRefused) as refused:
            review(run, here.model_copy(update={"storage_url": "s3://bucket"}))  # which may have the file
        (error,) = refused.value.errors
        assert (error.pointer, "size=64x64" in error.message) == ("/regularizers/0", True)


def test_split_with_too_few_rows_is_refused(client: TestClient, ids: Kinds) -> None:
    dataset = {"kind": "uploaded", "id": ids["iris"], "train_size": 100}
    error = error_of(client.post("/v1/runs", json={**BODY, "dataset": dataset}))
    assert (error["pointer"], "at most 96" in error["message"]) == ("/dataset/train_size", True)


def test_studies_compare_uploads_and_grids_keep_filled_in_facts(client: TestClient, ids: Kinds) -> None:
    arms = {"flowers": {}, "pictures": {"dataset": {"id": ids["coloured"]}}}
    study = {"base": body(ids["iris"]), "arms": arms, "grid": {"dataset.train_size": [8, 10]}, "seeds": 2}
    created = client.post("/v1/studies", json=study)
    assert created.status_code == 201, created.text
    runs = client.get("/v1/runs", params={"study_id": created.json()["id"], "limit": 50}).json()["data"]
    result = {
        (r["arm"].split()[0], r["spec"]["dataset"]["validation_size"], r["spec"]["dataset"]["train_size"]) for r in runs
    }
    assert result == {(arm, rows, size) for arm, rows in (("flowers", 24), ("pictures", 3)) for size in (8, 10)}
    assert client.post(f"/v1/studies/{created.json()['id']}/seeds", json={"add": 1}).status_code == 202
    wrong = {"base": body(ids["iris"]), "arms": {"a": {}, "b": {"dataset": {"id": "nothing"}}}}
    for path in ("/v1/studies", "/v1/studies/preview"):
        assert error_of(client.post(path, json=wrong))["pointer"] == "/arms/b/dataset/id"


def test_clone_on_another_dataset_has_the_facts_of_that_dataset(client: TestClient, ids: Kinds) -> None:
    run = client.post("/v1/runs", json=body(ids["iris"])).json()
    patch = {"dataset": {"id": ids["coloured"], "validation_size": 4}}
    clone = client.post(f"/v1/runs/{run['id']}/clone", json={"patch": patch}).json()
    assert clone["spec"]["dataset"]["content"]["shape"] == [3, 8, 8]
    assert clone["spec"]["dataset"]["validation_size"] == 4


def finish(client: TestClient, work: Jobs, run_id: str) -> None:
    """Have a run, and whatever is queued before it, recorded and ended as a worker would."""
    while client.get(f"/v1/runs/{run_id}").json()["status"] == "queued":
        (claim,) = work.claim(WORKER, limit=1)
        work.started([claim], device="cpu", determinism_class="test")
        for epoch in range(1, 10):
            loss = 2.0 / epoch
            work.record([claim], [measured(claim.run_id, epoch, train_loss_eval=loss, val_loss=loss)])
        work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded")])


def test_dataset_in_use_cannot_be_deleted_and_results_survive_deletion(
    client: TestClient, work: Jobs, ids: Kinds
) -> None:
    content = npz(x=np.arange(40.0).reshape(20, 2), y=Y)
    dataset_id = send(client, content, name="first")
    key = {"idempotency-key": "once"}
    first = client.post("/v1/runs", json=body(dataset_id), headers=key)
    cancelled = client.post("/v1/runs", json=body(dataset_id, seed=1)).json()["id"]
    refused = client.delete(f"/v1/datasets/{dataset_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")
    assert cancelled in refused.json()["detail"]
    client.post(f"/v1/runs/{cancelled}/cancel")
    finish(client, work, first.json()["id"])
    assert client.delete(f"/v1/datasets/{dataset_id}").status_code == 204
    assert client.get(f"/v1/datasets/{dataset_id}").status_code == 404
    assert client.get(f"/v1/runs/{first.json()['id']}/history").json()["epoch"] == list(range(1, 10))
    assert client.post("/v1/runs", json=body(dataset_id), headers=key).text == first.text
    for path, value in (("/v1/runs", body(dataset_id)), (f"/v1/runs/{first.json()['id']}/clone", {})):
        assert error_of(client.post(path, json=value))["code"] == "dataset_not_found"
    assert error_of(client.post(f"/v1/runs/{cancelled}/retry"))["code"] == "dataset_not_found"
    assert send(client, content, name="second") == dataset_id
    again = client.post("/v1/runs", json=body(dataset_id))
    assert (again.status_code, again.json()["reused_from"]) == (200, first.json()["id"])
    assert again.json()["spec_hash"] == first.json()["spec_hash"]
    assert client.post(f"/v1/runs/{cancelled}/retry").status_code == 202


def test_transfer_dataset_in_use_cannot_be_deleted(client: TestClient, ids: Kinds) -> None:
    rows = send(client, npz(x=np.arange(80.0).reshape(20, 4), y=Y), name="transfer")
    teacher = {"spec": body(ids["iris"], epochs=2)}
    part = {"kind": "distillation", "teachers": [teacher], "transfer": {"dataset": {"kind": "uploaded", "id": rows}}}
    student = client.post("/v1/runs", json=body(ids["iris"], regularizers=[part]))
    assert student.status_code == 201, student.text
    refused = client.delete(f"/v1/datasets/{rows}")
    assert (refused.status_code, student.json()["id"] in refused.json()["detail"]) == (409, True)
    client.post(f"/v1/runs/{student.json()['id']}/cancel")
    assert client.delete(f"/v1/datasets/{rows}").status_code == 204


def test_suggestion_of_a_diagnosis_on_an_upload_can_be_posted(client: TestClient, work: Jobs, ids: Kinds) -> None:
    run = client.post("/v1/runs", json=body(ids["iris"], seed=5, epochs=9)).json()["id"]
    finish(client, work, run)
    result = client.get(f"/v1/runs/{run}/diagnosis").json()
    assert (result["verdict"], result["suggested_patch"]) == ("underfits", {"epochs": 18})
    assert client.post("/v1/runs", json=result["suggested_spec"]).status_code == 201


def test_catalog_has_uploads_as_a_kind(client: TestClient) -> None:
    (part,) = [part for part in client.get("/v1/catalog").json()["datasets"] if part["kind"] == "uploaded"]
    assert (part["missing"], "id" in part["json_schema"]["required"]) == (None, True)
