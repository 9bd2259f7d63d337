"""The reliability of a stored model, from the scores of rows that the predictor process returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.errors import Unprocessable
from service.models.weights import ModelWeights
from service.runs.errors import NotMeasured
from service.sandbox.predicting.messages import ROW_SCORES, Split
from service.statistics.calibration import Reliability, reliability
from worker.spec.run import RunSpec


@dataclass(frozen=True, kw_only=True)
class ModelReliability:
    """The reliability of a model's probabilities on a split."""

    weights: ModelWeights
    split: Split
    brier: float
    """Over all classes, from 0 to 2."""
    reliability: Reliability

    @classmethod
    def of(cls, weights: ModelWeights, split: Split, row_scores: bytes, bins: int) -> ModelReliability:
        """Return the reliability, given the scores of all rows of the split.

        Raises:
            Unprocessable: Some outputs are not numbers.
        """
        rows = np.frombuffer(row_scores, ROW_SCORES)
        undefined = int(np.isnan(rows["brier"]).sum())
        if undefined:
            message = f"The model's outputs are not numbers for {undefined} of {len(rows)} rows: training diverged."
            raise Unprocessable(f"{message} Lower the learning rate, or use at=best.")
        return cls(
            weights=weights,
            split=split,
            brier=float(np.average(rows["brier"].astype(np.float64), weights=rows["weight"])),
            reliability=reliability(rows["confidence"].astype(np.float64), rows["hit"], bins, rows["weight"]),
        )


def check_classes(weights: ModelWeights) -> None:
    """Refuse the calibration of a model without probabilities.

    Raises:
        NotMeasured: The target is a number.
    """
    if not RunSpec.of(weights.spec).dataset.classes:
        message = f"{weights.run_id} predicts a number, so it has no calibration. Its history has r2 and rmse."
        raise NotMeasured(message)
