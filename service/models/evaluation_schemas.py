"""Scores on other data, and the importance of columns, as clients see them."""

from __future__ import annotations

import statistics
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.http.bodies import BodyModel
from service.models.file_types import FILE_TYPES
from service.models.files import Evaluation, ModelImportance
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Split


class EvaluateBody(BodyModel):
    """The rows of a dataset to evaluate a model on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dataset": "digits", "split": "test"}]})

    file_types: ClassVar[frozenset[str]] = frozenset(FILE_TYPES)

    dataset: str = Field(max_length=128, description="The id of an upload, or the kind of a built-in dataset.")
    split: Literal["test", "train", "all"] = Field(
        default="test", description="Its test part, its training part with validation rows, or both."
    )


class EvaluationView(BaseModel):
    """The metrics of a model on given rows; a metric that is undefined there is null."""

    object: Literal["evaluation"] = "evaluation"
    run_id: str
    at: At
    epoch: int = Field(description="The epoch after which the model was saved.")
    dataset: str | None = Field(description="The dataset; null if the rows were sent as a file.")
    split: Literal["test", "train", "all"] | None
    rows: int
    metrics: dict[str, float | None] = Field(
        description="As runs record them; the loss is that of the run's spec. Rows have the weights of their dataset; "
        "those of a file are in the column that had them in the run's dataset."
    )
    baseline: dict[str, float | None] = Field(
        description="The same of predictions that ignore the inputs: the frequencies of classes, or the mean, of the "
        "rows that trained the model; on the test part of the run's own series also of the last value; empty if the "
        "run's dataset is not on this machine."
    )
    missing: dict[str, int] = Field(default={}, description="Rows of a table without a value, by column.")
    unseen: dict[str, int] = Field(default={}, description="Rows of a table with an unseen text, by column.")
    notes: list[str] = Field(default=[], description="How the rows were read and counted.")

    @classmethod
    def of(cls, evaluation: Evaluation) -> EvaluationView:
        """Return the view of an evaluation."""
        weights, table = evaluation.weights, evaluation.table
        return cls(
            run_id=weights.run_id,
            at=weights.at,
            epoch=weights.file.epoch,
            dataset=evaluation.dataset,
            split=evaluation.split,
            rows=evaluation.rows,
            metrics=dict(evaluation.metrics),
            baseline=dict(evaluation.baseline),
            missing=table.missing,
            unseen=table.unseen,
            notes=list(table.notes),
        )


class ColumnImportanceView(BaseModel):
    """The importance of a column."""

    column: str
    importance: float = Field(description="Mean over repeats: how much worse the metric is; 0 if the column is unused.")
    std: float | None = Field(description="Standard deviation over repeats; null for one repeat.")
    values: list[float] = Field(description="Of each repeat.")


class ImportanceView(BaseModel):
    """Permutation importance: the increase of a loss, or the decrease of a score, if a column's values are permuted."""

    object: Literal["importance"] = "importance"
    run_id: str
    at: At
    epoch: int = Field(description="The epoch after which the model was saved.")
    split: Split
    metric: str
    value: float | None = Field(description="The metric of the rows as they are.")
    rows: int = Field(description="Rows used; a random sample if the split has more than requested.")
    repeats: int
    columns: list[ColumnImportanceView] = Field(description="The most important one first.")

    @classmethod
    def of(cls, measured: ModelImportance) -> ImportanceView:
        """Return the view of the importance of a model's columns."""
        columns = [
            ColumnImportanceView(
                column=one.column,
                importance=statistics.fmean(one.values),
                std=statistics.stdev(one.values) if len(one.values) > 1 else None,
                values=one.values,
            )
            for one in measured.columns
        ]
        weights = measured.weights
        return cls(
            run_id=weights.run_id,
            at=weights.at,
            epoch=weights.file.epoch,
            split=measured.split,
            metric=measured.metric,
            value=measured.value,
            rows=measured.rows,
            repeats=len(measured.columns[0].values),
            columns=columns,
        )
