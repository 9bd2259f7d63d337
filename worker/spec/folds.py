"""Folds: equal parts of the training rows, of which one validates and the others train.

Reference: Stone, 1974, "Cross-validatory choice and assessment of statistical predictions"; Kohavi, 1995, "A study of
cross-validation and bootstrap for accuracy estimation and model selection" (why folds are stratified).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from worker.spec.part import Spec

if TYPE_CHECKING:
    import numpy as np

    Rows = np.ndarray[Any, np.dtype[np.int64]]

MAX_FOLDS = 20


class Fold(Spec):
    """One of several equal parts of the training rows, every class spread over them evenly."""

    index: int = Field(ge=0, lt=MAX_FOLDS, description="Index of the fold that validates, from 0.")
    of: int = Field(ge=2, le=MAX_FOLDS, description="Number of folds.")

    def size(self, rows: int) -> int:
        """Return the number of rows of this fold out of ``rows``; sizes of folds differ by at most one."""
        return rows // self.of + (self.index < rows % self.of)

    def split(self, order: Rows, targets: np.ndarray[Any, Any]) -> tuple[Rows, Rows]:
        """Return the rows of ``order`` that validate and those that train, both in its order.

        Rows are dealt to the folds in turn, class after class, so neither sizes of folds nor of a class in them differ
        by more than one. ``targets`` are of all rows; in a regression, rows are dealt in ``order``.
        """
        import numpy as np

        classes = np.issubdtype(targets.dtype, np.integer)
        dealt = order[np.argsort(targets[order], kind="stable")] if classes else order
        mine = np.isin(order, dealt[self.index :: self.of])
        return order[mine], order[~mine]
