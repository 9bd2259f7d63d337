"""Rows and choices of rows that cannot be predicted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.models.inputs import MAX_ERRORS
from tests.conftest import body
from tests.service.models.serving import ROW, Service

SQUARE = [[0] * 8] * 8


WRONG: list[tuple[Any, str]] = [
    ([ROW, ROW[1:]], "/inputs/1"),
    ([ROW, "x"], "/inputs/1"),
    ([None], "/inputs/0"),
    ([7], "/inputs/0"),
    ([{}], "/inputs/0"),
    ([[]], "/inputs/0"),
    ([ROW, ROW, [*ROW[1:], "a"]], "/inputs/2/63"),
    ([[True, *ROW[1:]]], "/inputs/0/0"),
    ([[0, None, *ROW[2:]]], "/inputs/0/1"),
    ([[0, 1e39, *ROW[2:]]], "/inputs/0/1"),
    ([[0, -(10**400), *ROW[2:]]], "/inputs/0/1"),
    ([SQUARE[1:]], "/inputs/0"),
    ([[*SQUARE[1:], [0] * 7]], "/inputs/0/7"),
    ([[*SQUARE[1:], 7]], "/inputs/0/7"),
    ([[*SQUARE[1:], [0] * 7 + ["1"]]], "/inputs/0/7/7"),
    ([[*SQUARE[1:], [0] * 7 + [[0]]]], "/inputs/0/7/7"),
    ([], "/inputs"),
    ([[0]] * 10_001, "/inputs"),
]


@pytest.mark.parametrize(("inputs", "pointer"), [pytest.param(*one, id=f"{i}{one[1]}") for i, one in enumerate(WRONG)])
def test_invalid_row_is_reported_with_its_pointer(service: Service, run_id: str, inputs: Any, pointer: str) -> None:
    answer = service.predict(run_id, {"inputs": inputs})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1e39", "9" * 400])
def test_numbers_that_are_not_finite_are_refused(service: Service, run_id: str, number: str) -> None:
    text = json.dumps({"inputs": [[*ROW[1:], 0]]}).replace("0]]", f"{number}]]")
    answer = service.client.post(
        f"/v1/runs/{run_id}/predict", content=text, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/inputs/0/63")


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"split": "test", "indices": [0, 355]}, "/indices/1"),
        ({"split": "test", "indices": [0, -1]}, "/indices/1"),
        ({"split": "test", "indices": [0, 1.5]}, "/indices/1"),
        ({"split": "test", "indices": [2**70]}, "/indices/0"),
        ({"split": "test", "indices": []}, "/indices"),
        ({"split": "test", "indices": [0] * 10_001}, "/indices"),
        ({"split": "everything", "indices": [0]}, "/split"),
        ({"split": "val", "indices": [0, 60]}, "/indices/1"),
        ({"split": "train", "indices": [100]}, "/indices/0"),
        ({"split": "test"}, ""),
        ({"indices": [0]}, ""),
        ({"inputs": [ROW], "split": "test", "indices": [0]}, ""),
        ({}, ""),
        ({"inputs": [ROW], "at": "last"}, "/at"),
        ([], ""),
    ],
)
def test_invalid_selection_of_rows_is_refused(service: Service, run_id: str, sent: Any, pointer: str) -> None:
    answer = service.predict(run_id, sent)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_only_the_first_invalid_rows_are_listed(service: Service, run_id: str) -> None:
    answer = service.predict(run_id, {"inputs": ["x"] * 5000})
    assert len(answer.json()["errors"]) == MAX_ERRORS


def test_deep_large_and_malformed_bodies_are_refused(service: Service, run_id: str) -> None:
    def status(content: bytes) -> int:
        headers = {"content-type": "application/json"}
        return service.client.post(f"/v1/runs/{run_id}/predict", content=content, headers=headers).status_code

    assert status(b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}") == 400
    assert status(b'{"inputs":' + b"[" * 150 + b"]" * 150 + b"}") == 422
    assert status(b'{"inputs":[') == 400
    assert status(b" " * (service.settings.max_predict_body_bytes + 1)) == 413
    assert status(b'{"inputs":[[' + b"9" * 100_000 + b"]]}") in (400, 422)
    assert service.predict(run_id, {"inputs": [ROW]}).status_code == 200


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "predictions.png", "curve.png"])
def test_unknown_ids_are_404(service: Service, name: str) -> None:
    assert service.client.get(f"/v1/runs/run_nope/{name}").json()["code"] == "run_not_found"
    queued = service.client.post("/v1/runs?reuse=false", json=body(seed=80)).json()["id"]
    answer = service.client.get(f"/v1/runs/{queued}/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_measured")
    service.client.post(f"/v1/runs/{queued}/cancel")


@pytest.mark.parametrize("at", ["../../etc/passwd", "start", "BEST", "", "best\0"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "predictions.png"])
def test_only_best_and_last_are_valid_snapshots(service: Service, run_id: str, name: str, at: str) -> None:
    answer = service.client.get(f"/v1/runs/{run_id}/{name}", params={"at": at})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "at")
