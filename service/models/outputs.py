"""The outputs of models for all rows of a split, cached as long as there is room."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.models.result_cache import ResultCache
from service.models.service import Models
from service.models.weights import ModelWeights
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Outputs, Split
from worker.spec.run import RunSpec

ROW_BYTES, OUTPUT_BYTES = 16, 4
"""A row's target and weight, and each of its outputs."""


@dataclass(frozen=True)
class SplitOutputs:
    """Targets (N,), weights of the rows (N,), and outputs: logits (N, classes), or numbers (N, 1)."""

    targets: NDArray[np.float64]
    weights: NDArray[np.float64]
    outputs: NDArray[np.float32]

    @classmethod
    def parse(cls, content: bytes, width: int) -> SplitOutputs:
        """Return the outputs that the predictor process sent, ``width`` of each row."""
        rows = len(content) // (ROW_BYTES + OUTPUT_BYTES * width)
        return cls(
            targets=np.frombuffer(content, "<f8", rows),
            weights=np.frombuffer(content, "<f8", rows, 8 * rows),
            outputs=np.frombuffer(content, "<f4", offset=ROW_BYTES * rows).reshape(rows, width),
        )


class ModelOutputs:
    """The outputs of the models of the runs that the caller may see."""

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def cache(self) -> ResultCache:
        """The cache of outputs, in which what follows from them may be stored, too."""
        return self._models.outputs

    def find(self, run_id: str, at: At) -> ModelWeights:
        """Return the recorded weights of a run.

        Raises:
            RunNotFound: No run has this id.
            NoWeights: The run has no weights of this epoch.
        """
        return self._models.find(run_id, at)

    def check_unsealed(self, run_id: str, split: Split) -> None:
        """Check that the run's model may be used on rows of ``split``.

        Raises:
            Sealed: They are test rows, and the run belongs to a tuned study whose choice is not frozen.
        """
        self._models.check_unsealed(run_id, split)

    @staticmethod
    def width(weights: ModelWeights) -> int:
        """Return the number of a model's outputs for each row."""
        return RunSpec.of(weights.spec).dataset.outputs

    def cached(self, weights: ModelWeights, split: Split) -> SplitOutputs | None:
        """Return a model's outputs if they are cached, else None."""
        content = self.cache.get(_key(weights, split))
        return None if content is None else SplitOutputs.parse(content, self.width(weights))

    async def compute(self, weights: ModelWeights, split: Split) -> SplitOutputs:
        """Compute a model's outputs.

        Raises:
            RunNotFound: The run was deleted.
            NotMeasured: The run has no weights of this epoch.
            FileLost: The weights are missing or altered.
            SpecRefused: The dataset is missing.
            Unprocessable: ONNX cannot represent the model, or it needs too much memory.
            Unavailable, TookTooLong: The computation is not possible at the moment.
        """
        current, _, content = await self._models.compute(
            weights.run_id, weights.at, lambda model, _: Outputs(model=model, split=split)
        )
        self.cache.add(_key(current, split), content)
        return SplitOutputs.parse(content, self.width(current))


def _key(weights: ModelWeights, split: Split) -> Hashable:
    """Return everything that the outputs depend on."""
    return weights.spec_hash, weights.file.sha256, split
