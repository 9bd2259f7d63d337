"""Predictions of rows with the columns of a typed table."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from tests.conftest import body
from tests.conftest import spec as spec_of
from tests.service.models.serving import Service
from worker.spec.onnx_file import PROBABILITIES
from worker.spec.rng import parted
from worker.spec.run import RunSpec
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import TableRows

pytestmark = pytest.mark.slow
ROWS = 120
SPECIES = ("adelie", "gentoo")


def table() -> str:
    """A CSV with a column of every type, in which only sex lacks values."""
    random = np.random.default_rng(0)
    lines = ["mass,island,sex,tagged,when,species"]
    for i in range(ROWS):
        mass, island, label = random.normal(4000, 800), random.choice(["Biscoe", "Dream", "Torgersen"]), i % 2
        sex, tagged = ("", "F", "M")[i % 3], ("true", "false")[int(random.integers(2))]
        when = f"20{random.integers(10, 20)}-0{random.integers(1, 9)}-1{random.integers(0, 9)}"
        lines.append(f"{mass + 900 * label:.1f},{island},{sex},{tagged},{when},{SPECIES[label]}")
    return "\n".join(lines) + "\n"


def weights_of(spec: RunSpec) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(1)
    shapes = spec.effective_model.parameters(spec.dataset.shape, spec.dataset.outputs)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def trained(service: Service) -> tuple[str, RunSpec]:
    """A run on an uploaded table; its file of weights has no preparation, like one of an earlier version."""
    uploaded = service.client.post(
        "/v1/datasets?missing=-200", content=table().encode(), headers={"content-type": "text/csv"}
    )
    assert uploaded.status_code == 201, uploaded.text
    dataset = {"kind": "uploaded", "id": uploaded.json()["id"]}
    claim = service.begin(dataset=dataset, model={"kind": "linear"})
    spec = spec_of(**claim.spec)
    service.keep(claim, "best", content=save(weights_of(spec)))
    return claim.run_id, spec


def expected(service: Service, spec: RunSpec) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the probabilities of the test rows by NumPy, and their features."""
    arrays = spec.dataset.load(service.settings.datasets)
    train, _ = parted(spec.dataset, arrays)
    fitted = spec.dataset.fitted(arrays, train)
    assert fitted is not None
    x = arrays.prepared(fitted).test_x.astype(np.float64)
    w, b = sorted(weights_of(spec).values(), key=lambda one: -one.ndim)
    z = x @ w.T + b
    p = np.exp(z - z.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True), x


ROW = {"mass": 4200, "island": "Dream", "sex": "F", "tagged": True, "when": "2015-03-01"}


def test_dataset_rows_equal_numpy_and_the_file_with_the_preparation(
    service: Service, trained: tuple[str, RunSpec]
) -> None:
    run_id, spec = trained
    probabilities, _ = expected(service, spec)
    answer = service.predict(run_id, {"split": "test", "indices": list(range(len(probabilities)))})
    assert answer.status_code == 200, answer.text
    np.testing.assert_allclose(answer.json()["probabilities"], probabilities, atol=2e-6)
    calibration = service.client.get(f"/v1/runs/{run_id}/calibration?split=test")
    assert calibration.json()["rows"] == len(probabilities)

    arrays = spec.dataset.load(service.settings.datasets)
    train, _ = parted(spec.dataset, arrays)
    fitted = spec.dataset.fitted(arrays, train)
    assert fitted is not None
    claim = service.begin(dataset=spec.dataset.model_dump(mode="json"), model={"kind": "linear"}, seed=7)
    about = {"fitwell": json.dumps({"format": 1, "preparation": fitted.as_json()})}
    service.keep(claim, "best", content=save(weights_of(spec), metadata=about))
    rows = [ROW, {**ROW, "sex": None, "island": "Dumoir"}]
    first, second = (service.predict(one, {"inputs": rows}).json() for one in (run_id, claim.run_id))
    assert first["probabilities"] == second["probabilities"]


def test_onnx_with_raw_columns_equals_predictions(service: Service, trained: tuple[str, RunSpec]) -> None:
    run_id, _ = trained
    rows: list[dict[str, Any]] = [
        ROW,
        {"when": "2011-12-31", "island": "Torgersen", "mass": 3100.5, "tagged": False, "sex": "M"},
        {"mass": None, "island": "Atlantis", "sex": "X", "tagged": None, "when": None},
        {"island": "", "sex": "F"},
    ]
    answer = service.predict(run_id, {"inputs": rows}).json()
    assert answer["unseen"] == {"island": 1, "sex": 1}
    assert answer["missing"] == {"mass": 2, "island": 1, "tagged": 2, "when": 2}
    session = onnxruntime.InferenceSession(service.client.get(f"/v1/runs/{run_id}/model.onnx").content)
    feed: dict[str, Any] = {}
    for column in session.get_inputs():
        cells = [row.get(column.name) for row in rows]
        if column.type == "tensor(string)":
            texts = ["" if cell is None else str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
            feed[column.name] = np.array(texts, object)[:, None]
        elif column.name == "when":
            days = np.array(["NaT" if cell is None else cell for cell in cells], "datetime64[s]")
            feed["when"] = np.where(np.isnat(days), np.nan, days.astype(np.float64))[:, None]
        else:
            feed[column.name] = np.array([np.nan if cell is None else cell for cell in cells], np.float64)[:, None]
    assert set(feed) == set(ROW)
    (probabilities,) = session.run([PROBABILITIES], feed)
    np.testing.assert_allclose(answer["probabilities"], probabilities, atol=1e-6)


def test_model_with_embedded_columns_is_the_same_in_every_form(service: Service, tmp_path: Path) -> None:
    uploaded = service.client.post("/v1/datasets", content=table().encode(), headers={"content-type": "text/csv"})
    embedded = {"island": {"kind": "category", "encode": "embedding", "width": 1}}
    columns = {"category": {"encode": "embedding"}, "by_name": embedded}
    claim = service.begin(
        dataset={"kind": "uploaded", "id": uploaded.json()["id"], "columns": columns},
        model={"kind": "mlp", "hidden": [5]},
    )
    spec = spec_of(**claim.spec)
    arrays = spec.dataset.load(service.settings.datasets)
    fitted = spec.dataset.fitted(arrays, parted(spec.dataset, arrays)[0])
    assert fitted is not None
    weights = weights_of(spec)
    about = {"fitwell": json.dumps({"format": 1, "preparation": fitted.as_json()})}
    service.keep(claim, "best", content=save(weights, metadata=about))

    (layer, *_) = service.client.post("/v1/runs?validate_only=true", json=body(**claim.spec)).json()["layers"]
    assert (layer["name"], layer["kind"], layer["parameters"]) == ("columns", "column_embedding", 3 * 1 + 3 * 2)
    island, sex = spec.dataset.embedded
    assert (island.begin, island.features, island.width, sex.features, sex.width) == (1, 3, 1, 3, 2)

    def logits(x: NDArray[Any]) -> NDArray[Any]:
        vectors = [x[:, one.begin : one.end] @ weights[f"columns.{i}.weight"] for i, one in enumerate((island, sex))]
        h = np.column_stack(
            [x[:, : island.begin], vectors[0], x[:, island.end : sex.begin], vectors[1], x[:, sex.end :]]
        )
        h = np.maximum(h @ weights["layers.0.weight"].T + weights["layers.0.bias"], 0)
        return np.asarray(h @ weights["layers.1.weight"].T + weights["layers.1.bias"])

    x = arrays.prepared(fitted).test_x
    url = f"/v1/runs/{claim.run_id}"
    for name in ("model.py", "model.safetensors"):
        (tmp_path / name).write_bytes(service.client.get(f"{url}/{name}").content)
    module = runpy.run_path(str(tmp_path / "model.py"))
    theirs = module["load"](str(tmp_path / "model.safetensors"))(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(theirs, logits(x), rtol=1e-4, atol=1e-4)

    rows = [ROW, {**ROW, "sex": None, "island": "Dumoir"}, {**ROW, "island": None}]
    codes = [("Dream", "F"), (None, "missing"), (None, "F")]  # no training row has a missing or a new island
    levels = {"Dream": 1, "F": 0, "missing": 2}
    x = np.repeat(fitted_row(fitted)[None], 3, 0)
    for row, (first, second) in zip(x, codes, strict=True):
        row[island.begin : island.end] = np.eye(3)[levels[first]] if first else 0
        row[sex.begin : sex.end] = np.eye(3)[levels[second]]
    answer = service.predict(claim.run_id, {"inputs": rows}).json()
    expected = np.exp(logits(x))
    np.testing.assert_allclose(answer["probabilities"], expected / expected.sum(1, keepdims=True), atol=1e-5)
    assert (answer["unseen"], answer["missing"]) == ({"island": 1}, {"island": 1, "sex": 1})


def fitted_row(fitted: Fitted) -> NDArray[Any]:
    """Return the features of ``ROW``."""
    codes = {"island": 1, "sex": 0, "tagged": 1}
    seconds = datetime(2015, 3, 1, tzinfo=UTC).timestamp()
    names = [column.name for column in fitted.schema.columns if column.coded]
    rows = TableRows(
        fitted.schema, np.array([[4200.0, seconds]]), np.array([[codes[name] for name in names]], np.int32)
    )
    return np.asarray(fitted.transform(rows)[0], np.float64)


def test_texts_are_read_like_those_of_a_file(service: Service, trained: tuple[str, RunSpec]) -> None:
    run_id, _ = trained
    texts = {"when": "1 Mar 2015", "tagged": "yes", "sex": " F ", "island": "Dream", "mass": "$4,200.0"}
    answer, plain = (service.predict(run_id, {"inputs": [row]}).json() for row in (texts, ROW))
    assert answer["probabilities"] == plain["probabilities"]
    assert any("mass" in note for note in answer["notes"])


def test_list_of_values_and_missing_numbers_of_the_dataset_are_read(
    service: Service, trained: tuple[str, RunSpec]
) -> None:
    run_id, _ = trained
    rows = [ROW, {**ROW, "mass": None}]
    named, listed, marked = (
        service.predict(run_id, {"inputs": inputs}).json()
        for inputs in (
            rows,
            [list(row.values()) for row in rows],
            [ROW, {**ROW, "mass": -200}],
        )
    )
    assert named["probabilities"] == listed["probabilities"] == marked["probabilities"]
    assert (named["missing"], marked["missing"]) == ({"mass": 1}, {"mass": 1})
    text = service.predict(run_id, {"inputs": [{**ROW, "mass": "-200"}]}).json()
    assert text["probabilities"] == named["probabilities"][1:]


@pytest.mark.parametrize(
    ("rows", "pointer", "code", "text"),
    [
        ([ROW, {**ROW, "mass": "heavy"}], "/inputs/1/mass", "wrong_type", "'heavy' is not a number"),
        ([{**ROW, "when": "soon"}], "/inputs/0/when", "wrong_type", "a date such as 2024-01-31"),
        ([{**ROW, "tagged": 3}], "/inputs/0/tagged", "wrong_type", "true or false"),
        ([{**ROW, "mass": True}], "/inputs/0/mass", "wrong_type", "true is not a number"),
        ([{**ROW, "sex": ["F"]}], "/inputs/0/sex", "wrong_type", "a list is not a text"),
        ([{**ROW, "islands": "Dream"}], "/inputs/0/islands", "no_such_column", "Did you mean 'island'?"),
        ([ROW, {}], "/inputs/1", "no_column", "'mass', 'island', 'sex', 'tagged', 'when'"),
        ([[1, 2, 3]], "/inputs/0", "no_object", '{"mass": …, "island": …, "sex": …, …}'),
    ],
)
def test_invalid_rows_are_refused_with_row_and_column(
    service: Service, trained: tuple[str, RunSpec], rows: list[Any], pointer: str, code: str, text: str
) -> None:
    answer = service.predict(trained[0], {"inputs": rows})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code), answer.text
    assert text in error["message"], error
