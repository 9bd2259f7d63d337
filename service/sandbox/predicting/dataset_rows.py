"""Rows of datasets, before and after their inputs are prepared."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.spec.families.dataset import Arrays
from worker.spec.tables.rows import TableRows


class Rows(NamedTuple):
    """Rows of a dataset: raw (n, *shape) or prepared (n, D), and their targets: int64 labels, or float64 numbers."""

    x: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    """How many rows each row counts as; None: each as one."""


class RawRows(NamedTuple):
    """Inputs before they are prepared, their targets, and how many rows each row counts as."""

    x: NDArray[Any] | TableRows
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None

    def take(self, selected: NDArray[Any]) -> RawRows:
        """Return some of the rows."""
        x = self.x.take(selected) if isinstance(self.x, TableRows) else self.x[selected]
        return RawRows(x, self.y[selected], None if self.weights is None else self.weights[selected])


def parts_of(arrays: Arrays) -> dict[str, RawRows]:
    """Return the training part, validation included, and the test part."""
    train_x, test_x = arrays.tables or (arrays.train_x, arrays.test_x)
    return {
        "train": RawRows(train_x, arrays.train_y, arrays.train_weights),
        "test": RawRows(test_x, arrays.test_y, arrays.test_weights),
    }
