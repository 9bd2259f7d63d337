"""Columns of an uploaded table as tokens: those that a model's vocabulary lacks are refused at submission.

Missing values that the mean or the median replaces are checked during training only, for the replacement depends on the
run's training rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from service.errors import FieldError
from service.pointers import pointer_to
from worker.spec.layers.embedding import MAX_VOCABULARY
from worker.spec.networks.model import LayeredModel
from worker.spec.preparations.category import Category
from worker.spec.preparations.number import Number
from worker.spec.run import RunSpec
from worker.spec.tables.columns import Columns
from worker.spec.tables.dataset import TableDataset
from worker.spec.tables.schema import Column, TableSchema


class Values(NamedTuple):
    """The features of a column: lowest and highest value, and whether all are whole numbers."""

    low: float
    high: float
    whole: bool


def token_errors(spec: RunSpec, schema: TableSchema, stored: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """Return the errors of columns that are no tokens of the spec's model; ``stored`` are columns with their values."""
    model, dataset = spec.model, spec.dataset
    if not isinstance(model, LayeredModel) or model.vocabulary is None:
        return []
    if not isinstance(dataset, TableDataset) or dataset.tokens == 0:
        return []
    layer = ("model", *model.place_of(0))
    values = dict(_features(dataset.preparation, schema, {one["name"]: one for one in stored}))
    if (message := _not_tokens(values)) is not None:
        return [FieldError(pointer_to(*layer), "incompatible", message)]
    name = max(values, key=lambda column: values[column].high, default=None)
    if name is None or values[name].high < model.vocabulary:
        return []
    high = values[name].high
    fits = high < MAX_VOCABULARY
    remedy = f"Use {high + 1:.0f} or more" if fits else f"At most {MAX_VOCABULARY} are possible; leave the column out"
    message = f"The column {name!r} has tokens up to {high:.10g}, and a vocabulary of {model.vocabulary} ends at"
    allowed = (int(high) + 1,) if fits else ()
    message = f"{message} {model.vocabulary - 1}. {remedy}."
    return [FieldError(pointer_to(*layer, "vocabulary"), "incompatible", message, allowed)]


def _not_tokens(values: Mapping[str, Values]) -> str | None:
    """Return a sentence on the first column that has fractions or negative numbers; None if all are tokens."""
    remedy = "'embedding' needs whole numbers from 0 on. Leave it out (dataset.columns.leave_out), or upload tokens."
    for name, (low, _, whole) in values.items():
        if not whole:
            return f"The column {name!r} has fractions, and {remedy}"
        if low < 0:
            return f"The column {name!r} has numbers from {low:g} on, and {remedy}"
    return None


def _features(
    columns: Columns, schema: TableSchema, stored: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Values]]:
    """Yield the values of each column's features, as far as they are known before the training rows are."""
    for column in columns.used(schema):
        preparation = columns.of(column)
        if isinstance(preparation, Number):
            values = _of_numbers(preparation, column, stored[column.name])
            if values is not None:
                yield column.name, values
        elif column.type == "date":
            yield column.name, Values(0, 0, whole=False)
        else:
            ordinal = isinstance(preparation, Category) and preparation.encode == "ordinal"
            yield column.name, Values(0, 1, whole=not ordinal or len(column.levels) < 2)


def _of_numbers(preparation: Number, column: Column, stored: Mapping[str, Any]) -> Values | None:
    """Return the values of a column of numbers; None if they are unknown. Earlier uploads know only training rows."""
    statistics = stored.get("all_rows") or stored.get("statistics") or {}
    if "min" not in statistics:
        return None
    low, high = statistics["min"], statistics["max"]
    if preparation.scale != "none" or preparation.log:
        return Values(low, high, whole=False) if low < high else None
    if column.missing and preparation.impute == "constant":
        low, high = min(low, preparation.fill), max(high, preparation.fill)
    whole = statistics.get("whole", True) and float(low).is_integer() and float(high).is_integer()
    return Values(low, high, whole=whole)
