"""The ONNX file of a typed table against the preparation of the engine, for every option of every type."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from worker.spec.datasets.uploaded import Content, Uploaded
from worker.spec.onnx_file import LOGITS, onnx_of
from worker.spec.run import RunSpec
from worker.spec.tables.columns import Columns
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import MISSING, UNSEEN, TableRows
from worker.spec.tables.schema import Column, TableSchema

ROWS = 60
NUMBERS: dict[str, dict[str, Any]] = {
    "standard": {},
    "log": {"log": True, "scale": "robust"},
    "quantile": {"scale": "quantile", "impute": "median"},
    "quantile of a constant": {"scale": "quantile"},
    "minmax": {"scale": "minmax", "impute": "constant", "fill": 3.5, "indicator": False},
    "unscaled": {"scale": "none"},
    "huge": {"scale": "none", "log": False},
    "tiny": {"scale": "standard", "log": True},
}
CATEGORIES: dict[str, dict[str, Any]] = {
    "one hot": {},
    "logits": {"min_rows": 12},
    "frequent": {"max_levels": 2},
    "ordinal": {"encode": "ordinal"},
    "hash": {"encode": "hash", "buckets": 3},
    "embedding": {"encode": "embedding"},
    "rare embedding": {"encode": "embedding", "min_rows": 12},
}
DATES: dict[str, dict[str, Any]] = {
    "when": {},
    "every part": {"parts": ["elapsed", "year", "month", "day", "weekday", "hour"]},
    "plain": {"parts": ["year", "month", "day", "weekday", "hour"], "cyclic": False, "indicator": False},
}
LEVELS = ("a", "b", "c", "d")


def columns() -> list[Column]:
    """Every kind of column twice: with and without missing values in the training part."""
    kinds = [(name, "number") for name in NUMBERS] + [(name, "category") for name in CATEGORIES]
    kinds += [(name, "date") for name in DATES] + [("yes or no", "boolean")]
    return [
        Column(
            name=name if missing else f"{name} complete",
            type=kind,  # type: ignore[arg-type]
            levels={"category": LEVELS, "boolean": ("false", "true")}.get(kind, ()),
            missing=missing,
            has_time=kind == "date",
        )
        for missing in (True, False)
        for name, kind in kinds
    ]


def options() -> Columns:
    named = {
        name: {"kind": kind, **values}
        for kind, every in (("number", NUMBERS), ("category", CATEGORIES), ("date", DATES))
        for name, values in every.items()
    }
    return Columns.model_validate_json(
        json.dumps({"by_name": named | {f"{name} complete": one for name, one in named.items()}})
    )


def rows_of(schema: TableSchema, *, training: bool) -> TableRows:
    """Random rows; those that do not train have missing values and unseen categories in every column."""
    random = np.random.default_rng(training)
    numbers, codes = [], []
    for column in schema.columns:
        absent = random.random(ROWS) < (0.2 if column.missing or not training else 0)
        if column.coded:
            levels = random.integers(0, len(column.levels), ROWS) * random.integers(0, 2, ROWS)
            unseen = (random.random(ROWS) < 0.2) & (not training) & (column.type == "category")
            codes.append(np.where(absent, MISSING, np.where(unseen, UNSEEN, levels)).astype(np.int32))
        else:
            values = random.normal(50, 30, ROWS)
            if column.type == "date":
                first, last = (datetime(year, 1, 1, tzinfo=UTC).timestamp() for year in (1900, 2100))
                values = random.uniform(first, last, ROWS)
            scale = 1e-12 if "tiny" in column.name else 1e300 if "huge" in column.name else 1.0
            values = np.full(ROWS, 7.0) if "constant" in column.name else values * scale
            numbers.append(np.where(absent, np.nan, values))
    return TableRows(schema, np.stack(numbers, 1), np.stack(codes, 1))


def fed(rows: TableRows, inputs: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Return rows as the inputs of the file."""
    feed = {}
    for one in inputs:
        column, values = rows.schema.by_name[one["column"]], rows.values(one["column"])
        texts = {MISSING: "", UNSEEN: "new", **dict(enumerate(column.levels))}
        feed[one["input"]] = (
            np.array([[texts[code]] for code in values.tolist()], object) if column.coded else values[:, None]
        )
    return feed


def test_onnx_of_raw_columns_equals_the_prepared_rows() -> None:
    schema = TableSchema(columns=tuple(columns()))
    fitted = Fitted.on(options(), rows_of(schema, training=True))
    fitted = Fitted.of(json.loads(json.dumps(fitted.as_json())))
    rows = rows_of(schema, training=False)
    x = fitted.transform(rows)
    assert np.isfinite(x).all()
    assert (x != 0).any(0).sum() > 0.8 * x.shape[1]
    spec, weights = identity(fitted)
    session = onnxruntime.InferenceSession(onnx_of(spec, weights, {"run_id": "run_1"}, table=fitted))
    metadata = session.get_modelmeta().custom_metadata_map
    inputs = json.loads(metadata["inputs"])
    assert metadata["run_id"] == "run_1"
    assert json.loads(metadata["features"]) == list(fitted.features)
    assert [one.name for one in session.get_inputs()] == [one["input"] for one in inputs]
    assert next(one["input"] for one in inputs if one["column"] == "logits") == "logits (input)"
    (features,) = session.run([LOGITS], fed(rows, inputs))
    for i, name in enumerate(fitted.features):
        np.testing.assert_allclose(features[:, i], x[:, i], rtol=3e-7, atol=1e-7, err_msg=name)


def identity(fitted: Fitted) -> tuple[RunSpec, dict[str, NDArray[np.float32]]]:
    """Return a model whose outputs are the features."""
    size = len(fitted.features)
    content = Content(
        task="classification", shape=(size,), classes=fitted.features, rows_train=100, rows_test=9, layout=2
    )
    dataset = Uploaded(id=f"dataset_{64 * '0'}", content=content, columns=fitted.columns)
    body: dict[str, Any] = {"dataset": dataset.model_dump(mode="json"), "model": {"kind": "linear"}}
    body |= {"optimizer": {"kind": "sgd", "lr": 0.1}, "epochs": 1, "seed": 0}
    spec = RunSpec.model_validate_json(json.dumps(body))
    shapes = spec.model.parameters(spec.dataset.shape, size)
    return spec, {
        name: np.eye(size, dtype=np.float32) if len(shape) == 2 else np.zeros(shape, np.float32)
        for name, shape in shapes.items()
    }
