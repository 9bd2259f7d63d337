"""Prediction requests and predictions as clients see them."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.errors import SpecRefused
from service.http.bodies import BodyModel
from service.models.file_types import FILE_TYPES
from service.models.service import Predictions
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Chosen, Split


class PredictBody(BodyModel):
    """Rows to predict: sent with the request, or rows of the dataset that the run was trained on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"split": "test", "indices": [0, 1, 2]}]})

    size_setting: ClassVar[str] = "max_predict_body_bytes"
    file_types: ClassVar[frozenset[str]] = frozenset(FILE_TYPES)

    inputs: list[JsonValue] | None = Field(
        default=None,
        description="Rows of the dataset's form before scaling (an image's pixels from 0 to 255, for example); each a "
        "flat list of numbers, or nested in the dataset's shape. Rows of a typed table are objects with its columns, "
        'such as {"age": 31, "sex": "F"}; a null or an omitted column is a missing value.',
    )
    split: Split | None = Field(
        default=None,
        description="Split of the run's data, instead of inputs; rows are in the run's order.",
    )
    indices: list[Annotated[int, Field(ge=0, le=2**31)]] | None = Field(
        default=None, description="Indices of its rows, from 0."
    )

    def selection(self, max_rows: int) -> Chosen | None:
        """Return the requested rows of the dataset; None if the body contains rows.

        Raises:
            SpecRefused: The body has both, neither, or too many rows.
        """
        if (self.inputs is None) == (self.split is None) or (self.split is None) != (self.indices is None):
            message = 'Send either "inputs", or "split" and "indices".'
            raise SpecRefused.at("", "inputs_or_split", message)
        if self.split is None or self.indices is None:
            return None
        if not 1 <= len(self.indices) <= max_rows:
            allowed = f"1 to {max_rows:,} rows (FITWELL_MAX_PREDICT_ROWS)"
            message = f"A request predicts {allowed}, not {len(self.indices):,}."
            raise SpecRefused.at("/indices", "wrong_count", message)
        return Chosen(split=self.split, indices=tuple(self.indices))


class PredictionsView(BaseModel):
    """Predictions of some rows; lists are parallel to the rows. A probability that is not a number is null."""

    object: Literal["predictions"] = "predictions"
    run_id: str
    at: At
    epoch: int = Field(description="The epoch after which the model was saved.")
    split: Split | None
    indices: list[int] | None
    class_names: list[str] = Field(description="Empty if the target is a number, like every field about classes.")
    probabilities: list[list[float | None]] = Field(description="Probability of each class, for each row.")
    labels: list[int | None] = Field(description="The most probable class, from 0; null if no probability is a number.")
    names: list[str | None] = Field(description="Name of the most probable class.")
    true_labels: list[int] | None = Field(description="True classes of rows of the dataset, without label noise.")
    true_names: list[str] | None
    predictions: list[float | None] | None = Field(
        default=None, description="Predicted numbers, in the target's unit, if the target is a number."
    )
    targets: list[float] | None = Field(default=None, description="True numbers of rows of the dataset.")
    missing: dict[str, int] = Field(
        default={},
        description="Rows without a value, by column of a typed table; it was replaced as in training, whether or not "
        "training rows lack values of the column.",
    )
    unseen: dict[str, int] = Field(
        default={}, description="Rows with a text that the training part lacks, by column of a typed table."
    )
    notes: list[str] = Field(default=[], description="How values were read where that is not obvious.")

    @classmethod
    def of(cls, predictions: Predictions) -> PredictionsView:
        """Return the view of predictions."""
        return cls.model_construct(
            run_id=predictions.weights.run_id,
            at=predictions.weights.at,
            epoch=predictions.weights.file.epoch,
            split=None if predictions.chosen is None else predictions.chosen.split,
            indices=None if predictions.chosen is None else list(predictions.chosen.indices),
            class_names=list(predictions.classes),
            missing=predictions.table.missing,
            unseen=predictions.table.unseen,
            notes=list(predictions.table.notes),
            **(_of_classes(predictions) if predictions.classes else _of_numbers(predictions)),
        )

    @classmethod
    def render(cls, predictions: Predictions) -> str:
        """Return predictions as JSON."""
        return cls.of(predictions).model_dump_json()


def _of_classes(predictions: Predictions) -> dict[str, Any]:
    finite, true = np.isfinite(predictions.outputs.sum(axis=1)), predictions.labels
    labels = [int(label) if ok else None for label, ok in zip(predictions.outputs.argmax(1), finite, strict=True)]
    return {
        "probabilities": [[_rounded(value) for value in row] for row in predictions.outputs.tolist()],
        "labels": labels,
        "names": [None if label is None else predictions.classes[label] for label in labels],
        "true_labels": None if true is None else list(true),
        "true_names": None if true is None else [predictions.classes[label] for label in true],
    }


def _of_numbers(predictions: Predictions) -> dict[str, Any]:
    return {
        "probabilities": [],
        "labels": [],
        "names": [],
        "true_labels": None,
        "true_names": None,
        "predictions": [_rounded(value) for value in predictions.outputs[:, 0].tolist()],
        "targets": None if predictions.targets is None else list(predictions.targets),
    }


def _rounded(value: float) -> float | None:
    """Return a float32 without spurious digits; None if it is not finite."""
    return float(f"{value:.9g}") if math.isfinite(value) else None
