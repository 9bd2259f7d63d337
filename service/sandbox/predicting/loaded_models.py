"""Models in memory: their predictions, and the refusals of orders that they cannot serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.dataset_rows import RawRows, Rows
from service.sandbox.predicting.messages import InvalidValue, Reason
from worker.spec.networks.model import LayeredModel
from worker.spec.onnx_file import INPUT, LOGITS, PREDICTION, PROBABILITIES
from worker.spec.run import RunSpec
from worker.spec.tables.fitted import Fitted
from worker.spec.tables.rows import TableRows

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCH_SIZES = (256, 16, 1)
"""Rows predicted together; smaller batches are tried if memory runs out."""
MEMORY_ERRORS = ("Failed to serialize proto", "bad_alloc", "bad allocation", "Failed to allocate", "out of memory")


class OrderRefused(Exception):
    """An order cannot be served; the message says why and what would work."""

    def __init__(
        self, reason: Reason, message: str, place: int | None = None, errors: Sequence[InvalidValue] = ()
    ) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.place = place
        self.errors = tuple(errors)


class Loaded(NamedTuple):
    """A model ready to predict."""

    spec: RunSpec
    session: InferenceSession
    """From rows of numbers; those of a typed table are prepared before."""
    bytes: int
    table: Fitted | None
    """The preparation of a typed table."""
    target_scale: float
    """Numeric targets are multiplied by it in training."""
    target_name: str | None = None
    """The name of the target's column, if the engine recorded it beside the weights."""

    def inputs(self, rows: NDArray[Any] | TableRows) -> NDArray[Any]:
        """Return rows of the dataset as rows of numbers."""
        if isinstance(rows, TableRows):
            assert self.table is not None, "the dataset is a typed table, so the model has its preparation"
            return self.table.transform(rows)
        return rows

    def rows(self, raw: RawRows) -> Rows:
        """Return rows of the dataset with their inputs as rows of numbers."""
        return Rows(self.inputs(raw.x), raw.y, raw.weights)


def predictions(loaded: Loaded, x: NDArray[Any], *, logits: bool = False) -> NDArray[np.float32]:
    """Return class probabilities or ``logits`` (n, classes), or numbers (n, 1) in regression.

    Raises:
        OrderRefused: The model takes tokens, and a row has another number.
        MemoryError: A single row exceeds the memory limit.
    """
    _check_tokens(loaded, x)
    for count in BATCH_SIZES:
        try:
            return np.concatenate([_run(loaded, x[i : i + count], logits=logits) for i in range(0, len(x), count)])
        except Exception as error:
            if not short_of_memory(error):
                raise
    raise MemoryError("a single row does not fit")


def _check_tokens(loaded: Loaded, x: NDArray[Any]) -> None:
    """Check that rows ``x`` are whole numbers of the vocabulary, if the model takes tokens.

    Raises:
        OrderRefused: A number is not a token; names the first.
    """
    vocabulary = loaded.spec.model.vocabulary if isinstance(loaded.spec.model, LayeredModel) else None
    if vocabulary is None:
        return
    unknown = np.argwhere((x < 0) | (x >= vocabulary) | (x % 1 != 0))
    if not len(unknown):
        return
    row, column = map(int, unknown[0])
    place = f"/{row}/{column}" if loaded.table is None else f"/{row}"
    message = (
        f"Tokens of this model are whole numbers from 0 to {vocabulary - 1}, and row {row} has {x[row, column]:g}."
    )
    value = InvalidValue(place=place, code="unknown_token", message=message, row=row + 1)
    raise OrderRefused("bad_rows", message, errors=[value])


def short_of_memory(error: Exception) -> bool:
    """Return whether Python or onnxruntime raised ``error`` because memory ran out."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in MEMORY_ERRORS)


def _run(loaded: Loaded, x: NDArray[Any], *, logits: bool) -> NDArray[np.float32]:
    of_classes = LOGITS if logits else PROBABILITIES
    output = of_classes if loaded.spec.dataset.task == "classification" else PREDICTION
    (values,) = loaded.session.run([output], {INPUT: x.astype(np.float32)})
    result: NDArray[np.float32] = values
    return result
