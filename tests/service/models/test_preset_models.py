"""Downloads of the networks of presets, trained here for an epoch on few rows, against the service's predictions."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from service.catalog.presets import presets
from tests.conftest import WORKER
from tests.service.datasets.upload_files import npz
from tests.service.models.serving import Service
from worker.engine.checkpoints import save_weights
from worker.engine.data import Data
from worker.engine.outcomes import measurement
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.ports import Outcome
from worker.spec.datasets import KINDS as DATASETS
from worker.spec.families.hooks import defines
from worker.spec.fetched import Fetched
from worker.spec.models import KINDS as MODELS
from worker.spec.networks.model import LayeredModel
from worker.spec.onnx_file import INPUT, LOGITS, PREDICTION, PROBABILITIES, input_name
from worker.spec.regularizers import KINDS as REGULARIZERS
from worker.spec.run import RunSpec
from worker.spec.tables.bundled import BundledTable
from worker.spec.tables.files import description_of
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import MISSING, TableRows
from worker.spec.tables.schema import Column

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
FIELDS = ("dataset", "model", "loss", "optimizer", "precision")
ROWS, PREDICTED = 20, 5
TOLERANCE = 1e-4
"""Of the largest output."""

BUNDLED = {name for name, kind in DATASETS.items() if issubclass(kind, BundledTable)}
"""Datasets that are typed tables."""

Array = NDArray[np.float32]
Body = dict[str, Any]


def networks() -> dict[str, Body]:
    """Return bodies of runs by preset and arm: the first network of each preset, and the others of other layers.

    Networks that another preset has too come once. Only regularizers that act in evaluation mode are left.
    """
    bodies, covered = dict[str, Body](), set[str]()
    for name, preset in presets().items():
        trained = {arm: body_of(run) for arm, run in preset.runs.items() if MODELS[run["model"]["kind"]].trains}
        for position, (arm, body) in enumerate(trained.items()):
            spec = RunSpec.of(body)
            assert isinstance(spec.model, LayeredModel)
            data = (spec.dataset.shape, spec.dataset.task, spec.dataset.normalize)
            kinds = {step.layer.kind for step in spec.model.steps(spec.dataset.shape, spec.dataset.outputs)}
            forms = [(part.kind, getattr(part, "form", None)) for part in spec.regularizers]
            network, layers = repr((data, spec.model, spec.regularizers)), repr((data, sorted(kinds), forms))
            if network not in covered and (position == 0 or layers not in covered):
                bodies[f"{name}: {arm}"] = body
                covered |= {network, layers}
    return bodies


def body_of(run: Body) -> Body:
    """Return the body of a preset's run without what its model does not show."""
    body = {field: run[field] for field in FIELDS if field in run}
    parts = [part for part in run.get("regularizers", []) if defines(REGULARIZERS[part["kind"]], "onnx_scale")]
    return {**body, "regularizers": parts}


NETWORKS = networks()
TABLES = [name for name, body in NETWORKS.items() if body["dataset"]["kind"] in BUNDLED]
OTHERS = [name for name in NETWORKS if name not in TABLES]


def with_few_rows(service: Service, body: Body) -> Body:
    """Return a body that trains the same network on few rows, which need no download."""
    spec = RunSpec.of(body)
    dataset = {**body["dataset"], "validation_size": 5}
    if isinstance(spec.dataset, Fetched):
        x = np.random.default_rng(0).integers(0, 256, (ROWS + 10, *spec.dataset.shape), np.uint8)
        y = np.arange(len(x)) % spec.dataset.outputs
        content = npz(x_train=x[:ROWS], y_train=y[:ROWS], x_test=x[ROWS:], y_test=y[ROWS:])
        headers = {"content-type": "application/x-npz"}
        uploaded = service.client.post("/v1/datasets", content=content, headers=headers)
        assert uploaded.is_success, uploaded.text
        dataset = {"kind": "uploaded", "id": uploaded.json()["id"], "validation_size": 5}
        dataset |= {name: value for name, value in body["dataset"].items() if name == "normalize"}
    elif not isinstance(spec.dataset, BundledTable):
        dataset["train_size"] = ROWS
    return {**body, "dataset": dataset, "batch_size": 8, "epochs": 1, "evaluate": {"test": "never"}}


def train(service: Service, body: Body) -> tuple[str, RunSpec]:
    """Train a run in this process, and record it as a worker's agent does."""
    created = service.client.post("/v1/runs?reuse=false", json=body)
    assert created.status_code == 201, created.text
    (claim,) = service.work.claim(WORKER, limit=1)
    spec = RunSpec.of(claim.spec)
    data, stack = Data(spec.dataset, service.settings.datasets, CPU), Stack([Member(claim.run_id, spec)], CPU)
    service.work.started([claim], device="cpu", determinism_class="cpu/test")
    for (result,) in Training(stack, data).epochs():
        service.work.record([claim], [measurement(result, "digest")])
        file = save_weights(
            service.settings.checkpoints,
            f"{claim.run_id}/last.safetensors",
            result.stack.tensors(result.position),
            at="last",
            epoch=result.epoch,
            preparation=data.preparations[0],
        )
        service.work.checkpointed([claim], {}, {claim.run_id: (file,)})
    service.work.finish([claim], [Outcome(run_id=claim.run_id, status="succeeded", code="finished")])
    return claim.run_id, spec


class Downloads(NamedTuple):
    """A run's files."""

    source: Mapping[str, Any]
    """Names that model.py defines."""
    weights: Path
    onnx: onnxruntime.InferenceSession

    @classmethod
    def of(cls, service: Service, run_id: str, folder: Path) -> Downloads:
        """Download the files into ``folder``."""
        for name in ("model.py", "model.safetensors", "model.onnx"):
            response = service.client.get(f"/v1/runs/{run_id}/{name}?at=last")
            assert response.status_code == 200, response.text
            (folder / name).write_bytes(response.content)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        return cls(runpy.run_path(str(folder / "model.py")), folder / "model.safetensors", session)

    def by_source(self, rows: Array) -> Array:
        """Return what model.py computes of ``rows``."""
        with torch.no_grad():
            outputs: Array = self.source["load"](str(self.weights))(torch.from_numpy(rows)).numpy()
        return outputs


def assert_close(outputs: Any, expected: Array) -> None:
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def assert_agree(predicted: Mapping[str, Any], source: Array, onnx: Mapping[str, Array]) -> None:
    """Check the response of /predict, and the outputs of both files."""
    if PREDICTION in onnx:
        assert_close(onnx[PREDICTION], source)
        assert_close(np.reshape(predicted["predictions"], (-1, 1)), source)
        return
    assert_close(onnx[LOGITS], source)
    probabilities = torch.from_numpy(source).softmax(1).numpy()
    assert_close(onnx[PROBABILITIES], probabilities)
    assert_close(predicted["probabilities"], probabilities)


def predictions(service: Service, run_id: str, rows: list[Any]) -> Mapping[str, Any]:
    response = service.predict(run_id, {"inputs": rows}, at="last")
    assert response.status_code == 200, response.text
    answer: Mapping[str, Any] = response.json()
    return answer


def outputs_of(session: onnxruntime.InferenceSession, feed: Mapping[str, Any]) -> dict[str, Array]:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def cells_of(column: Column, values: NDArray[Any]) -> list[Any]:
    """Return stored values of a column as a client sends them."""
    if column.coded:
        texts = [None if code < 0 else column.levels[code] for code in values.tolist()]
        return texts if column.type == "category" else [None if text is None else text == "true" for text in texts]
    numbers = [None if np.isnan(value) else value for value in values.tolist()]
    if column.type == "number":
        return numbers
    return [None if value is None else datetime.fromtimestamp(value, UTC).date().isoformat() for value in numbers]


def input_of(column: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Return stored values of a column as model.onnx takes them, (n, 1)."""
    if not column.coded:
        return values[:, None]
    return np.array(["" if code < 0 else column.levels[code] for code in values.tolist()], object)[:, None]


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_every_preset_compute_the_predictions(service: Service, name: str, tmp_path: Path) -> None:
    run_id, spec = train(service, with_few_rows(service, NETWORKS[name]))
    files = Downloads.of(service, run_id, tmp_path)
    rows = np.asarray(spec.dataset.load(service.settings.datasets).test_x[:PREDICTED], np.float32)
    predicted = predictions(service, run_id, rows.tolist())
    assert_agree(predicted, files.by_source(rows), outputs_of(files.onnx, {INPUT: rows}))


@pytest.mark.parametrize("name", TABLES)
def test_files_of_table_presets_compute_the_predictions_of_raw_rows(
    service: Service, name: str, tmp_path: Path
) -> None:
    run_id, spec = train(service, with_few_rows(service, NETWORKS[name]))
    files = Downloads.of(service, run_id, tmp_path)
    fitted = Fitted.of(description_of(files.weights.read_bytes())["preparation"])
    tables = spec.dataset.load(service.settings.datasets).tables
    assert tables is not None
    raw = rows_of(tables[1])
    features = fitted.transform(raw)
    assert files.source["FEATURES"] == list(fitted.features)
    columns = {column.name: column for column in fitted.columns.used(fitted.schema)}
    cells = {name: cells_of(column, raw.values(name)) for name, column in columns.items()}
    sent = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    feed = {input_name(column): input_of(column, raw.values(name)) for name, column in columns.items()}
    predicted = predictions(service, run_id, sent)
    assert sum(predicted["missing"].values()) >= len(columns)
    assert_agree(predicted, files.by_source(features), outputs_of(files.onnx, feed))


def rows_of(table: TableRows) -> TableRows:
    """Return the first rows of a table; the last of them lacks all values."""
    rows = table.take(np.arange(ROWS))
    rows.numbers[-1], rows.codes[-1] = np.nan, MISSING
    return rows
