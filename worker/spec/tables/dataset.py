"""Datasets that may be typed tables: the fields and the splits that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.part import Objection
from worker.spec.preparations.number import Number
from worker.spec.tables.columns import Columns
from worker.spec.tables.fitted import Fitted

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.run import RunSpec

MAX_STACKED_BYTES = 2**26
"""Prepared rows of a split up to which several splits share a stack."""
DEFAULT, UNSCALED = Columns(), Columns(number=Number(scale="none"))


class TableDataset(Dataset):
    """A dataset that is a typed table, or may be one."""

    standardize: bool = Field(
        default=True,
        description="Shift and scale each column of a table, and a numeric target, to mean 0 and standard deviation 1 "
        "over the training rows; images are unchanged.",
    )
    columns: Columns | None = Field(
        default=None,
        exclude_if=lambda columns: columns is None,  # so that hashes are the same as before tables had types
        description="Tables: how columns become features; null uses the defaults.",
    )
    stratify: bool | None = Field(
        default=None,
        exclude_if=lambda stratify: stratify is None,
        description="Validate on the same share of each class; null does so for tables.",
    )

    @property
    def is_table(self) -> bool:
        """Whether the data are a typed table."""
        raise NotImplementedError

    @property
    def largest_group(self) -> int:
        """Rows of the training part's largest group; 0 if rows have no groups."""
        return 0

    @property
    def given_validation_rows(self) -> int:
        """Rows that the data themselves designate for validation."""
        return 0

    @property
    def splits_at_random(self) -> bool:
        """Whether each row is as likely as any other of its class to validate."""
        return super().splits_at_random and not self.largest_group and not self.given_validation_rows

    @property
    def preparation(self) -> Columns:
        """How columns become features."""
        if self.columns is not None:
            return self.columns
        return DEFAULT if self.standardize else UNSCALED

    @property
    def stratified(self) -> bool:
        """As ``stratify`` says; by default, of tables with classes."""
        default = self.is_table and self.task == "classification"
        return default if self.stratify is None else self.stratify

    @property
    def unused_rows(self) -> int:
        """Rows beside the validation rows that would be of a group on both sides, or too near in time."""
        if self.chronological:
            return self.horizon - 1
        if not self.largest_group or not self.validation_rows:
            return 0
        return (self.largest_group - 1) * (1 if self.fold is None else 2)

    @property
    def splits_stack(self) -> bool:
        """Whether runs of different splits train in one stack; each split of a table has prepared rows of its own."""
        prepared_bytes = 4 * sum(self.rows) * math.prod(self.shape)
        return super().splits_stack and (not self.is_table or prepared_bytes <= MAX_STACKED_BYTES)

    @property
    def fixed_split(self) -> str | None:
        """Why ``split_seed`` decides nothing; None if it does."""
        if self.given_validation_rows:
            return "The data say which rows validate. Vary only the seed."
        return super().fixed_split

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse fields that do not apply to these data."""
        if not self.is_table and self.columns is not None:
            message = "These data are not a typed table, so no column can be prepared; leave columns out."
            return [Objection(field="columns", message=message)]
        if self.embedded and self.normalize is not None:
            message = "Embedded categories are features of 0 and 1, which cannot be scaled; leave normalize out."
            return [Objection(field="normalize", message=message)]
        if self.embedded and not run.model.trains:
            message = (
                f"{run.model.kind!r} is not trained, so it cannot learn vectors of categories: prepare categories with "
                "encode 'one_hot', or use a network such as 'mlp'."
            )
            return [Objection(field="columns", message=message)]
        if (count := self.given_validation_rows) and (self.fold is not None or self.validation_size != count):
            field = "validation_size" if self.fold is None else "fold"
            return [Objection(field=field, message=f"The data say which {count:,} rows validate; leave {field} out.")]
        if self.stratify and (self.task == "regression" or self.chronological or self.largest_group):
            message = "Only a random split of rows with classes can be stratified; leave stratify out."
            return [Objection(field="stratify", message=message)]
        return super().objections(run)

    def target_scaling(self, y: np.ndarray[Any, Any]) -> tuple[float, float]:
        """Scale to mean 0 and standard deviation 1 if ``standardize`` is set; constant targets stay constant."""
        if not self.standardize:
            return 1.0, 0.0
        mean, std = float(y.mean()), float(y.std())
        return (1 / std, -mean / std) if y.min() < y.max() else (1.0, -mean)

    def fitted(self, arrays: Arrays, train: np.ndarray[Any, Any]) -> Fitted | None:
        """Return the preparation that the training rows at ``train`` give."""
        return None if arrays.tables is None else Fitted.on(self.preparation, arrays.tables[0].take(train))


def is_typed_table(dataset: Dataset) -> bool:
    """Return whether the data are a typed table."""
    return isinstance(dataset, TableDataset) and dataset.is_table
