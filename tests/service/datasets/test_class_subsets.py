"""Selections of classes in submitted specs: names of uploads, counts that the server fills in, refusals with places."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import BODY
from tests.service.datasets.conftest import OCTETS
from tests.service.datasets.upload_files import csv_text

pytestmark = pytest.mark.slow

ROWS = [[i, "ab"[i % 2], ("ape", "bee", "cat", "cat")[i % 4]] for i in range(40)]


@pytest.fixture(scope="module")
def table(client: TestClient) -> dict[str, Any]:
    """The dataset of a run on an uploaded table, of which 8 rows validate."""
    content = csv_text(["age", "city", "y"], ROWS)
    created = client.post("/v1/datasets", content=content, headers=OCTETS).json()
    return {"kind": "uploaded", "id": created["id"], "validation_size": 8}


def refusal(client: TestClient, body: dict[str, Any], path: str = "/v1/runs") -> tuple[str, str]:
    response = client.post(path, json=body)
    assert response.status_code == 422, response.text
    (error,) = response.json()["errors"]
    return error["pointer"], error["message"]


def test_names_of_an_upload_become_labels_and_its_rows_are_counted(client: TestClient, table: dict[str, Any]) -> None:
    preview = client.get(f"/v1/datasets/{table['id']}/preview").json()["class_counts"]
    counts = [count["rows_train"] for count in preview]
    for classes in (["cat", "ape"], [0, 2]):
        lie = {"task": "classification", "shape": [1], "classes": ["cat"], "rows_train": 9, "rows_test": 1}
        dataset = {**table, "train_classes": classes, "content": {**lie, "rows_of_classes": [9]}}
        stored = client.post("/v1/runs", json={**BODY, "dataset": dataset}).json()["spec"]["dataset"]
        assert stored["train_classes"] == [0, 2]
        assert stored["content"]["rows_of_classes"] == counts
        assert stored["content"]["classes"] == ["ape", "bee", "cat"]
    plain = client.post("/v1/runs", json={**BODY, "dataset": table}).json()["spec"]["dataset"]
    assert "train_classes" not in plain
    assert "rows_of_classes" not in plain["content"]


def test_grid_over_selections_trains_one_specialist_each(client: TestClient, table: dict[str, Any]) -> None:
    base = {**BODY, "dataset": {**table, "train_classes": ["ape", "bee"]}}
    grid = {"dataset.train_classes": [["ape", "bee"], ["bee", "cat"]]}
    created = client.post("/v1/studies", json={"base": base, "grid": grid, "seeds": 2})
    assert created.status_code == 201, created.text
    runs = client.get("/v1/runs", params={"study_id": created.json()["id"]}).json()["data"]
    assert sorted({tuple(run["spec"]["dataset"]["train_classes"]) for run in runs}) == [(0, 1), (1, 2)]


def test_refusal_names_the_field_and_the_classes(client: TestClient, table: dict[str, Any]) -> None:
    for path in ("/v1/runs", "/v1/runs?validate_only=true"):
        pointer, message = refusal(client, {**BODY, "dataset": {**table, "train_classes": ["ape", "dog"]}}, path)
        assert pointer == "/dataset/train_classes"
        assert "Class 'dog' does not exist. Use names, 'ape', 'bee', 'cat', or labels, 0 to 2." in message
    pointer, message = refusal(client, {**BODY, "dataset": {**table, "train_classes": ["ape"], "train_size": 30}})
    assert pointer == "/dataset/train_size"
    assert "at most" in message
    pointer, _ = refusal(client, {**BODY, "dataset": {**table, "train_classes": []}})
    assert pointer == "/dataset/train_classes"


def test_teachers_and_transfer_sets_select_classes_of_an_upload(client: TestClient, table: dict[str, Any]) -> None:
    teacher = {**BODY, "dataset": {**table, "train_classes": ["bee"]}, "epochs": 2}
    transfer = {"dataset": {**table, "train_classes": ["cat", "ape"]}}
    part = {"kind": "distillation", "teachers": [{"spec": teacher}], "transfer": transfer}
    student = client.post("/v1/runs", json={**BODY, "dataset": table, "regularizers": [part]})
    assert student.status_code == 201, student.text
    (stored,) = student.json()["spec"]["regularizers"]
    assert stored["transfer"]["dataset"]["train_classes"] == [0, 2]
    trained = client.get(f"/v1/runs/{stored['teachers'][0]['run_id']}").json()["spec"]["dataset"]
    assert trained["train_classes"] == [1]
    transfer["dataset"]["train_classes"] = ["dog"]
    pointer, _ = refusal(client, {**BODY, "dataset": table, "regularizers": [part]})
    assert pointer == "/regularizers/0/transfer/dataset/train_classes"
