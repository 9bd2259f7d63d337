"""What is asked of a trained model and what it answers, as clients see it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.models.service import Predictions
from service.models.weights import At
from service.sandbox.predicting.messages import Split


class PredictBody(BaseModel):
    """Rows to predict: those that are sent along, or rows of the dataset that the run was trained on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: list[JsonValue] | None = Field(
        default=None,
        description="Rows as the dataset has them, before scaling (an image's pixels from 0 to 255, say); each a flat "
        "list of numbers, or nested in the dataset's shape.",
    )
    split: Split | None = Field(
        default=None,
        description="A part of the run's data, instead of inputs: rows in the order in which the run has them.",
    )
    indices: list[Annotated[int, Field(ge=0, le=2**31)]] | None = Field(
        default=None, description="Which of its rows, from 0."
    )


class PredictionsView(BaseModel):
    """What a model makes of some rows; lists are parallel to the rows. A probability that is no number is null."""

    object: Literal["predictions"] = "predictions"
    run_id: str
    at: At
    epoch: int = Field(description="After which the model is as it is used here.")
    split: Split | None
    indices: list[int] | None
    class_names: list[str] = Field(description="None where the target is a number, as with all that is of classes.")
    probabilities: list[list[float | None]] = Field(description="Of each class for each row.")
    labels: list[int | None] = Field(description="The most probable class, from 0; null where there is none.")
    names: list[str | None] = Field(description="Its name.")
    true_labels: list[int] | None = Field(description="Of rows of the dataset, without the noise that a spec may add.")
    true_names: list[str] | None
    predictions: list[float | None] | None = Field(
        default=None, description="Where the target is a number: what it should be of each row, in its own unit."
    )
    targets: list[float] | None = Field(default=None, description="The true ones, of rows of the dataset.")

    @classmethod
    def of(cls, found: Predictions) -> PredictionsView:
        """The predictions as they are shown."""
        return cls.model_construct(
            run_id=found.kept.run_id,
            at=found.kept.at,
            epoch=found.kept.file.epoch,
            split=None if found.chosen is None else found.chosen.split,
            indices=None if found.chosen is None else list(found.chosen.indices),
            class_names=list(found.classes),
            **(_of_classes(found) if found.classes else _of_numbers(found)),
        )


def _of_classes(found: Predictions) -> dict[str, Any]:
    finite, true = np.isfinite(found.outputs.sum(axis=1)), found.labels
    given = [int(label) if ok else None for label, ok in zip(found.outputs.argmax(1), finite, strict=True)]
    return {
        "probabilities": [[_shown(value) for value in row] for row in found.outputs.tolist()],
        "labels": given,
        "names": [None if label is None else found.classes[label] for label in given],
        "true_labels": None if true is None else list(true),
        "true_names": None if true is None else [found.classes[label] for label in true],
    }


def _of_numbers(found: Predictions) -> dict[str, Any]:
    return {
        "probabilities": [],
        "labels": [],
        "names": [],
        "true_labels": None,
        "true_names": None,
        "predictions": [_shown(value) for value in found.outputs[:, 0].tolist()],
        "targets": None if found.targets is None else list(found.targets),
    }


def _shown(value: float) -> float | None:
    """A float32 without the digits that are no part of it."""
    return float(f"{value:.9g}") if math.isfinite(value) else None
