"""Models on other data: scores of other datasets and files, and the importance of columns.

The importance of a column is the loss (or another score) of rows in which its values are permuted, minus that of the
rows as they are, so that it is positive if the model needs the column. All features of a column are permuted together.

Reference: Breiman, 2001, "Random forests"; Fisher, Rudin and Dominici, 2019, "All models are wrong, but many are
useful" (model reliance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.dataset_rows import RawRows
from service.sandbox.predicting.guessing import Scoring, Targets
from service.sandbox.predicting.loaded_models import Loaded, OrderRefused, predictions
from service.sandbox.predicting.matching import matched, notes_on
from service.sandbox.predicting.messages import Evaluate, Importance, RowsFile, TableNotes
from service.sandbox.predicting.model_cache import ModelCache
from service.sandbox.predicting.scores import HIGHER_IS_BETTER
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.rng import permutation
from worker.spec.run import RunSpec
from worker.spec.tables.files import read_header
from worker.spec.tables.rows import TableRows

Json = Mapping[str, Any]
NO_LAST_VALUE = "The last value is a baseline of the test part of the run's own dataset only, so it is left out here."
NO_WEIGHTS = "Weights of these rows are not known, so each counts once, unlike the rows of the run's dataset."


def describe(loaded: Loaded, cache: ModelCache) -> Json:
    """Return the columns of a model's table, and its target.

    Raises:
        OrderRefused: The dataset is not a typed table.
    """
    dataset = loaded.spec.dataset
    if loaded.table is None:
        message = f"Files are read for models of typed tables; rows of {dataset.kind!r} have the shape {dataset.shape}."
        raise OrderRefused("not_a_table", message)
    used = {column.name for column in loaded.table.columns.used(loaded.table.schema)}
    columns = [
        {"name": one.name, "type": one.type, "levels": list(one.levels), "used": one.name in used}
        for one in loaded.table.schema.columns
    ]
    target = loaded.target_name or dataset.target_name(cache.datasets)
    return {"columns": columns, "target": target, "classes": list(dataset.classes)}


def file_rows(file: RowsFile, loaded: Loaded) -> RawRows:
    """Return the rows that the parser read, and their targets and weights, if it read them."""
    from safetensors import safe_open  # noqa: PLC0415 - not needed to draw curves

    assert loaded.table is not None, "the parser reads rows of typed tables only"
    rows = slice(file.first, file.first + file.count)
    with safe_open(file.path, "numpy") as tensors:
        stored = {name: tensors.get_slice(name)[rows] for name in tensors.keys()}  # noqa: SIM118 - not a dict
    table = TableRows(loaded.table.schema, stored["numbers"], stored["codes"])
    return RawRows(table, stored.get("y", np.empty(0)), stored.get("weights"))


def evaluate(order: Evaluate, loaded: Loaded, cache: ModelCache) -> Json:
    """Return the model's scores, those of guessing, the number of rows, and how they were read.

    Raises:
        OrderRefused: The data have other columns, classes or shapes, or are missing.
    """
    notes = TableNotes()
    if order.file is not None:
        parts = [file_rows(order.file, loaded)]
    else:
        assert order.dataset is not None, "an order has a file or a dataset"
        other = RunSpec.of({**loaded.spec.model_dump(mode="json"), "dataset": order.dataset}).dataset
        parts = [matched(part, other, loaded) for part in cache.rows_of(other, order.part)]
        notes = notes_on([part.x for part in parts], loaded)
    weights = [part.weights for part in parts if part.weights is not None]
    rows = Targets(np.concatenate([part.y for part in parts]), np.concatenate(weights) if weights else None)
    outputs = np.concatenate([predictions(loaded, loaded.inputs(part.x), logits=True) for part in parts])
    scoring = _scoring(loaded, cache)
    baseline = scoring.baseline(rows)
    added = list[str]()
    if loaded.spec.dataset.chronological:
        if order.part == "test" and order.dataset is not None and other.digest() == loaded.spec.dataset.digest():
            baseline |= scoring.last_value(cache.last_values(loaded.spec.dataset), rows)
        else:
            added.append(NO_LAST_VALUE)
    if weights == [] and scoring.training is not None and scoring.training.weights is not None:
        added.append(NO_WEIGHTS)
    return {
        "rows": len(rows.y),
        "metrics": _finite(scoring.scores(outputs, rows)),
        "baseline": _finite(baseline),
        "table": {**notes.model_dump(), "notes": added},
    }


def _scoring(loaded: Loaded, cache: ModelCache) -> Scoring:
    spec = loaded.spec
    return Scoring(spec.effective_loss, len(spec.dataset.classes), loaded.target_scale, cache.training(spec.dataset))


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def importance(order: Importance, loaded: Loaded, cache: ModelCache) -> Json:
    """Return the importance of each column: mean and standard deviation over repeats.

    Raises:
        OrderRefused: Rows are images, the split has none, or the model has no such score.
    """
    columns = _columns(loaded, cache)
    blocks = list(cache.blocks(loaded, order.split))
    x, y = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("x", "y"))
    parts = [block.weights for block in blocks if block.weights is not None]
    weights = np.concatenate(parts) if parts else None
    if len(y) > order.rows:
        chosen = permutation(0, "importance", 0, len(y))[: order.rows]
        x, y, weights = x[chosen], y[chosen], None if weights is None else weights[chosen]
    score = partial(_score, order.metric, _scoring(loaded, cache), loaded, Targets(y, weights))
    before = score(x)
    sign = -1.0 if order.metric in HIGHER_IS_BETTER else 1.0
    results = []
    for name, place in columns.items():
        changes = []
        for repeat in range(order.repeats):
            moved = x.copy()
            moved[:, place] = x[permutation(repeat, "importance", 0, len(y))][:, place]
            changes.append(sign * (score(moved) - before))
        results.append({"column": name, "values": changes})
    return {"rows": len(y), "value": before if math.isfinite(before) else None, "columns": results}


def _score(metric: str, scoring: Scoring, loaded: Loaded, rows: Targets, x: NDArray[Any]) -> float:
    values = scoring.scores(predictions(loaded, x, logits=True), rows)
    if metric not in values:
        raise OrderRefused("no_metric", f"The model has no metric {metric!r}; it has {', '.join(values)}.")
    return values[metric]


def _columns(loaded: Loaded, cache: ModelCache) -> dict[str, slice]:
    """Return where the features of each column are."""
    dataset = loaded.spec.dataset
    if loaded.table is not None:
        places, first = {}, 0
        for column in loaded.table.columns.used(loaded.table.schema):
            width = len(loaded.table.columns.of(column).features(column))
            places[column.name] = slice(first, first + width)
            first += width
        return places
    if len(dataset.shape) > 1:
        message = f"Rows of {dataset.kind!r} are images; the importance of columns is computed for tables."
        raise OrderRefused("not_a_table", message)
    names = None
    if isinstance(dataset, Uploaded) and (file := dataset.file(cache.datasets)) is not None and file.is_file():
        names = read_header(file).get("columns")
    names = names if names is not None and len(names) == dataset.shape[0] else range(dataset.shape[0])
    return {str(name): slice(i, i + 1) for i, name in enumerate(names)}
