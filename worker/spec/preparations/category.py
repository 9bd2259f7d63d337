"""Categories: one feature for each level, a trained vector, an ordinal number, or buckets of a hash.

``one_hot``: the feature of the row's level is 1. Levels with fewer than ``min_rows`` training rows, and those beyond
the ``max_levels`` most frequent ones, share a feature; so do levels that no training row has, if that feature exists,
and otherwise all features are 0. A missing value has a feature of its own.

``embedding``: the same features, which the model replaces by a vector for each (:mod:`worker.spec.networks.embedded`).
A category that no training row has, such as a missing value where all rows have one, is the vector 0.

    z_j = 1 if x is level j, else 0;    embedding: z·W, with W trained

Reference: Weinberger et al., 2009, "Feature hashing for large scale multitask learning" (``hash``); Guo and Berkhahn,
2016, "Entity embeddings of categorical variables" (``embedding``).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from worker.spec.families.preparation import Preparation, missing_feature
from worker.spec.tables.rows import MISSING, UNSEEN
from worker.spec.tables.schema import Column, ColumnType

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.families.preparation import State
    from worker.spec.graph import Graph, Value

    Values = np.ndarray[Any, Any]

NO_FEATURE = -1
MAX_DEFAULT_WIDTH = 50


class Category(Preparation):
    """Texts that repeat, as features of 0 and 1 or as a number."""

    equation: ClassVar[str] = "z_j = 1 if x is level j, else 0"
    reference: ClassVar[str] = "Weinberger et al. 2009, Feature hashing for large scale multitask learning"
    column_type: ClassVar[ColumnType] = "category"

    kind: Literal["category"] = "category"
    encode: Literal["one_hot", "ordinal", "hash", "embedding"] = Field(
        default="one_hot",
        description="one_hot: a feature for each level; ordinal: the level's place in the order of texts, scaled; "
        "hash: `buckets` features; embedding: a trained vector for each level.",
    )
    min_rows: int = Field(
        default=1, ge=1, description="Levels with fewer training rows count as other (one_hot, embedding)."
    )
    max_levels: int = Field(
        default=100, ge=2, le=10_000, description="Levels with a feature of their own at most (one_hot, embedding)."
    )
    buckets: int = Field(default=32, ge=2, le=10_000, description="Number of features (hash).")
    width: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        exclude_if=lambda width: width is None,  # so that hashes are the same as before it existed
        description="Length of a vector (embedding), at most the column's number of categories, which includes other "
        f"and missing ones; null is half of them, rounded up, and at most {MAX_DEFAULT_WIDTH}.",
    )

    @model_validator(mode="after")
    def _check_width(self) -> Self:
        if self.width is not None and self.encode != "embedding":
            raise ValueError(f"width is the length of trained vectors; with encode {self.encode!r}, leave it out")
        return self

    def features(self, column: Column) -> tuple[str, ...]:
        """A feature for each level or bucket, or one; then those of other and missing values."""
        if self.encode == "ordinal":
            names: tuple[str, ...] = (column.name,)
        elif self.encode == "hash":
            names = tuple(f"{column.name} hash {i}" for i in range(self.buckets))
        else:
            names = tuple(f"{column.name}={level}" for level in column.levels)
            if self._has_other(column):
                levels = min(len(column.levels), self.max_levels)
                named = names if levels == len(names) else tuple(f"{column.name} level {i + 1}" for i in range(levels))
                names = (*named, f"{column.name} is another")
        return (*names, *(missing_feature(column) if column.missing else ()))

    def vector_width(self, column: Column) -> int | None:
        """Return ``width``, or the default for the column's categories, if they are embedded."""
        if self.encode != "embedding":
            return None
        return self.width or min(MAX_DEFAULT_WIDTH, -(-len(self.features(column)) // 2))

    def _has_other(self, column: Column) -> bool:
        return self.min_rows > 1 or len(column.levels) > self.max_levels

    def fit(self, column: Column, values: Values) -> State:
        """The feature of each level, or mean and standard deviation of the ordinal numbers."""
        import numpy as np

        observed = values[values >= 0]
        if self.encode == "ordinal":
            mean = observed.mean() if len(observed) else 0.0
            std = observed.std() if len(observed) else 0.0
            return {"shift": np.array([mean]), "factor": np.array([1 / std if std > 0 else 0.0])}
        if self.encode == "hash":
            return {"feature_of_level": np.array([_bucket(one, self.buckets) for one in column.levels], np.float64)}
        counts = np.bincount(observed, minlength=len(column.levels))
        frequent = np.argsort(-counts, kind="stable")[: self.max_levels]
        named = np.sort(frequent[counts[frequent] >= self.min_rows])
        width = min(len(column.levels), self.max_levels)
        features = np.full(len(column.levels), width if self._has_other(column) else NO_FEATURE, np.float64)
        all_named = width == len(column.levels)
        features[named] = named if all_named else np.arange(len(named))
        if self.encode == "embedding":
            return self._trained(column, features, values)
        return {"feature_of_level": features}

    def _trained(self, column: Column, features: Values, values: Values) -> State:
        """Return the feature of each level, of unseen and of missing values; none where no training row has it."""
        import numpy as np

        unseen, missing = self._unseen(column), self._missing(column)
        if unseen not in features[values[values >= 0]]:
            features[features == unseen] = unseen = NO_FEATURE
        if MISSING not in values:
            missing = NO_FEATURE
        others = {"feature_of_unseen": np.array([float(unseen)]), "feature_of_missing": np.array([float(missing)])}
        return {"feature_of_level": features, **others}

    def transform(self, column: Column, state: State, values: Values) -> Values:
        """One feature is 1, or the scaled number."""
        import numpy as np

        x = np.zeros((len(values), len(self.features(column))))
        known = values >= 0
        if self.encode == "ordinal":
            x[known, 0] = (values[known] - state["shift"]) * state["factor"]
        else:
            unseen, missing = self._others(column, state)
            features = np.where(values == MISSING, missing, unseen)
            features[known] = state["feature_of_level"].astype(np.int64)[values[known]]
            rows = np.flatnonzero(features != NO_FEATURE)
            x[rows, features[rows]] = 1
        if column.missing and self.encode == "ordinal":
            x[values == MISSING, -1] = 1
        return x

    def onnx(self, graph: Graph, column: Column, state: State, values: Value) -> Value:
        """The same of texts."""
        if self.encode == "ordinal":
            codes = {level: code for code, level in enumerate(column.levels)}
            code = graph.code_of(values, {**codes, "": MISSING}, UNSEEN)
            number = graph.as_double(code)
            shifted = graph.node("Sub", number, graph.doubles(state["shift"]))
            scaled = graph.node("Mul", shifted, graph.doubles(state["factor"]))
            absent = graph.node("Less", code, graph.integers([0]))
            x = graph.rounded_to_float(graph.node("Where", absent, graph.doubles([0.0]), scaled))
            if not column.missing:
                return x
            return graph.features(x, graph.as_float(graph.node("Equal", code, graph.integers([MISSING]))))
        width = len(self.features(column))
        features = dict(zip(column.levels, state["feature_of_level"].astype(int).tolist(), strict=True))
        unseen, missing = self._others(column, state)
        feature = graph.code_of(values, {**features, "": missing}, unseen)
        return graph.as_float(graph.node("Equal", feature, graph.integers(range(width))))

    def _others(self, column: Column, state: State) -> tuple[int, int]:
        """Return the features of levels that the training part lacks, and of missing values."""
        if self.encode == "embedding":
            return int(state["feature_of_unseen"][0]), int(state["feature_of_missing"][0])
        return self._unseen(column), self._missing(column)

    def _unseen(self, column: Column) -> int:
        if self.encode in ("one_hot", "embedding") and self._has_other(column):
            return min(len(column.levels), self.max_levels)
        return NO_FEATURE

    def _missing(self, column: Column) -> int:
        return len(self.features(column)) - 1 if column.missing else NO_FEATURE


def _bucket(level: str, buckets: int) -> int:
    """Return the bucket of a text, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(level.encode(), digest_size=8, person=b"fitwell").digest(), "big") % buckets
