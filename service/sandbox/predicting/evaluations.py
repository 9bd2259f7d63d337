"""Models on other data: scores of other datasets and files, and the importance of columns.

The importance of a column is the loss (or another score) of rows in which its values are permuted, minus that of the
rows as they are, so that it is positive if the model needs the column. All features of a column are permuted together.

Reference: Breiman, 2001, "Random forests"; Fisher, Rudin and Dominici, 2019, "All models are wrong, but many are
useful" (model reliance).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.messages import Evaluate, Importance, RowsFile
from service.sandbox.predicting.model_cache import Loaded, ModelCache, OrderRefused, RawRows, predictions
from service.sandbox.predicting.scores import HIGHER_IS_BETTER, Scores, class_scores, guesses, number_scores
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.families.dataset import Dataset
from worker.spec.losses.cross_entropy import CrossEntropy
from worker.spec.rng import permutation
from worker.spec.run import RunSpec
from worker.spec.tables.dataset import is_typed_table
from worker.spec.tables.files import read_header
from worker.spec.tables.rows import MISSING, UNSEEN, TableRows
from worker.spec.tables.schema import TableSchema

Json = Mapping[str, Any]
MAX_LISTED = 20
"""Names that a message lists."""


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
    return {"columns": columns, "target": _target_name(dataset, cache), "classes": list(dataset.classes)}


def _target_name(dataset: Dataset, cache: ModelCache) -> str | None:
    """Return the name of the target's column; None if the dataset is not on this machine."""
    if isinstance(dataset, Uploaded):
        file = dataset.file(cache.datasets)
        description = read_header(file) if file is not None and file.is_file() else {}
    else:
        description = dataset.description() if hasattr(dataset, "description") else {}
    name: str | None = description.get("target")
    return name


def file_rows(file: RowsFile, loaded: Loaded) -> RawRows:
    """Return the rows that the parser read, and their targets, if it read them."""
    from safetensors import safe_open  # noqa: PLC0415 - not needed to draw curves

    assert loaded.table is not None, "the parser reads rows of typed tables only"
    rows = slice(file.first, file.first + file.count)
    with safe_open(file.path, "numpy") as tensors:
        numbers, codes = (tensors.get_slice(name)[rows] for name in ("numbers", "codes"))
        y = tensors.get_slice("y")[rows] if "y" in tensors.keys() else np.empty(0)  # noqa: SIM118 - not a dict
    return TableRows(loaded.table.schema, numbers, codes), y


def evaluate(order: Evaluate, loaded: Loaded, cache: ModelCache) -> Json:
    """Return the model's scores, those of guessing, and the number of rows.

    Raises:
        OrderRefused: The data have other columns, classes or shapes, or are missing.
    """
    if order.file is not None:
        parts = [file_rows(order.file, loaded)]
    else:
        assert order.dataset is not None, "an order has a file or a dataset"
        other = RunSpec.of({**loaded.spec.model_dump(mode="json"), "dataset": order.dataset}).dataset
        parts = [_matched(part, other, loaded) for part in cache.rows_of(other, order.part)]
    y = np.concatenate([y for _, y in parts])
    outputs = np.concatenate([predictions(loaded, loaded.inputs(x), logits=True) for x, _ in parts])
    scores = _scores_of(loaded, cache)
    trained = cache.training_targets(loaded.spec.dataset)
    baseline = {} if trained is None else scores(guesses(trained, len(loaded.spec.dataset.classes), len(y)), y)
    return {"rows": len(y), "metrics": _finite(scores(outputs, y)), "baseline": _finite(baseline)}


def _scores_of(loaded: Loaded, cache: ModelCache) -> Scores:
    spec = loaded.spec
    if spec.dataset.classes:
        return partial(class_scores, weights=_class_weights(loaded, cache))
    return lambda outputs, y: number_scores(outputs[:, 0], y, spec.effective_loss, loaded.target_scale)


def _class_weights(loaded: Loaded, cache: ModelCache) -> NDArray[np.float64] | None:
    """Return the weights of classes in the loss; not numbers if they depend on a dataset that is missing."""
    loss, count = loaded.spec.effective_loss, len(loaded.spec.dataset.classes)
    weights = loss.class_weights if isinstance(loss, CrossEntropy) else None
    if weights is None or weights != "balanced":
        return None if weights is None else np.array(weights)
    trained = cache.training_targets(loaded.spec.dataset)
    if trained is None:
        return np.full(count, np.nan)
    balanced: NDArray[np.float64] = len(trained) / (count * np.maximum(np.bincount(trained, minlength=count), 1))
    return balanced


def _finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}


def _matched(part: RawRows, other: Dataset, loaded: Loaded) -> RawRows:
    """Return rows of another dataset as those of the model's.

    Raises:
        OrderRefused: They have another form.
    """
    x, y = part
    own = loaded.spec.dataset
    if other.task != own.task:
        message = f"The model was trained for {own.task}, and the target of the dataset is one of {other.task}."
        raise OrderRefused("other_data", message)
    if isinstance(x, TableRows) != is_typed_table(own) or (not is_typed_table(own) and other.shape != own.shape):
        message = f"Rows of the dataset have another form than those of the model: {_form(other)}, not {_form(own)}."
        raise OrderRefused("other_data", message)
    if isinstance(x, TableRows):
        assert loaded.table is not None, "the model's dataset is a typed table"
        x = _with_schema(x, loaded.table.schema, {one.name for one in loaded.table.columns.used(loaded.table.schema)})
    return x, (_labels(y, other.classes, own.classes) if own.classes else y)


def _form(dataset: Dataset) -> str:
    return "columns of a table" if is_typed_table(dataset) else "×".join(map(str, dataset.shape))


def _labels(y: NDArray[Any], theirs: Sequence[str], own: Sequence[str]) -> NDArray[np.int64]:
    """Return labels of the model's classes.

    Raises:
        OrderRefused: A class is none of them.
    """
    unknown = [name for i, name in enumerate(theirs) if name not in own and (y == i).any()]
    if unknown:
        message = (
            f"The dataset has classes that the model does not know: {_listed(unknown)}. It knows {_listed(own)}. "
            "A model can be evaluated on rows of its own classes only."
        )
        raise OrderRefused("other_data", message)
    places = np.array([own.index(name) if name in own else -1 for name in theirs], np.int64)
    labels: NDArray[np.int64] = places[y]
    return labels


def _with_schema(rows: TableRows, schema: TableSchema, used: set[str]) -> TableRows:
    """Return rows of another table with the columns and levels of ``schema``.

    Raises:
        OrderRefused: A column that the model uses is missing, or of another type.
    """
    wrong = [
        f"{column.name!r} ({column.type})"
        for column in schema.columns
        if column.name in used
        and (column.name not in rows.schema.by_name or rows.schema.by_name[column.name].type != column.type)
    ]
    if wrong:
        message = f"The dataset lacks columns that the model needs: {', '.join(wrong[:MAX_LISTED])}."
        raise OrderRefused("other_data", message)
    numbers, codes = list[NDArray[Any]](), list[NDArray[Any]]()
    for column in schema.columns:
        if column.name not in used:
            values = np.full(len(rows), MISSING if column.coded else np.nan)
        else:
            values = rows.values(column.name)
            if column.coded:
                places = [
                    column.levels.index(level) if level in column.levels else UNSEEN
                    for level in rows.schema.by_name[column.name].levels
                ]
                values = np.array([*places, UNSEEN, MISSING])[values]  # the codes −2 and −1 are the last places
        (codes if column.coded else numbers).append(values)
    return TableRows(
        schema,
        np.stack(numbers, 1) if numbers else np.empty((len(rows), 0)),
        np.stack(codes, 1).astype(np.int32) if codes else np.empty((len(rows), 0), np.int32),
    )


def importance(order: Importance, loaded: Loaded, cache: ModelCache) -> Json:
    """Return the importance of each column: mean and standard deviation over repeats.

    Raises:
        OrderRefused: Rows are images, the split has none, or the model has no such score.
    """
    columns = _columns(loaded, cache)
    blocks = list(cache.blocks(loaded, order.split))
    x, y = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("x", "y"))
    if len(y) > order.rows:
        chosen = permutation(0, "importance", 0, len(y))[: order.rows]
        x, y = x[chosen], y[chosen]
    scores = _scores_of(loaded, cache)
    score = partial(_score, order.metric, scores, loaded, y)
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


def _score(metric: str, scores: Scores, loaded: Loaded, y: NDArray[Any], x: NDArray[Any]) -> float:
    values = scores(predictions(loaded, x, logits=True), y)
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


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:MAX_LISTED])) + (", …" if len(names) > MAX_LISTED else "")
