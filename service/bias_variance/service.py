"""Bias and variance of the predictions of a study's arms on its test rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import TypeAdapter

from service.bias_variance.predicted_runs import Place, PredictedRuns, predicted_runs
from service.callers import Caller
from service.errors import Unprocessable
from service.models.outputs import ModelOutputs, SplitOutputs
from service.models.service import Models
from service.models.weights import ModelWeights
from service.runs.saved_weights import At
from service.statistics.bias_variance import Decomposition, decompose
from service.studies.design import StudyDesign
from service.studies.results import StudyResults

SECONDS = 5.0
"""Time in a request after which no further run is predicted. Outputs in the cache take none of it."""
RESULTS: TypeAdapter[dict[str, Decomposition]] = TypeAdapter(dict[str, Decomposition])


@dataclass(frozen=True, kw_only=True)
class ArmBiasVariance:
    """The parts of an arm's losses, and the runs that they are of."""

    runs: PredictedRuns
    pending: int
    """Runs that the time of the request did not suffice for."""
    losses: Mapping[str, Decomposition]
    """Empty while predictions are pending."""

    @property
    def places(self) -> Sequence[Place]:
        """The replicate and the cell of each run, in the order of pseudo-values."""
        return list(self.runs.models)


@dataclass(frozen=True, kw_only=True)
class StudyBiasVariance:
    """Bias and variance of the predictions of a study's arms."""

    design: StudyDesign
    at: At
    arms: Mapping[str, ArmBiasVariance]

    @property
    def pending(self) -> int:
        """Runs that the time of the request did not suffice for."""
        return sum(arm.pending for arm in self.arms.values())


@dataclass
class _Budget:
    """The time that a request has spent on predictions."""

    spent: float = 0.0

    @property
    def is_left(self) -> bool:
        """Whether another run may be predicted."""
        return self.spent < SECONDS


class BiasVariances:
    """Bias and variance of the predictions of the studies that the caller may see."""

    def __init__(self, studies: StudyResults, models: Models) -> None:
        self._studies = studies
        self._models = models

    def on_behalf_of(self, caller: Caller) -> Self:
        """Return the service limited to ``caller``."""
        return type(self)(self._studies.on_behalf_of(caller), self._models.on_behalf_of(caller))

    async def of_study(self, study_id: str, at: At | None = None, arms: Sequence[str] = ()) -> StudyBiasVariance:
        """Return the parts of each arm's losses on the test rows, over its finished runs.

        Args:
            study_id: The study; of a tuned one, its confirmation is used.
            at: The epoch of the models; by default the study's own.
            arms: Only these arms; by default all.

        Raises:
            StudyNotFound: No study has this id.
            SpecRefused: An arm does not exist, or its runs have different test rows.
            Sealed: The study is still searching.
            NotMeasured: An arm has fewer than two finished runs with weights, or is not evaluated on test rows.
            FileLost: Weights are missing or altered.
            Unprocessable: ONNX cannot represent a model, its outputs are not numbers, or it needs too much memory.
            Unavailable, TookTooLong: The predictor process is busy, or takes too long for one run.
        """
        design = await asyncio.to_thread(self._studies.design, study_id, ["test.loss"])
        epoch: At = at or ("best" if design.at == "best" else "last")
        outputs = ModelOutputs(self._models)

        def selected() -> list[PredictedRuns]:
            names = design.select_arms(arms)
            slots = {arm: [slot for slot in design.slots if slot.group == arm] for arm in names}
            return [predicted_runs(outputs, design, arm, slots[arm], epoch) for arm in names]

        budget = _Budget()
        results = {one.arm: await _decomposed(outputs, one, budget) for one in await asyncio.to_thread(selected)}
        return StudyBiasVariance(design=design, at=epoch, arms=results)


async def _decomposed(outputs: ModelOutputs, runs: PredictedRuns, budget: _Budget) -> ArmBiasVariance:
    """Return the parts of an arm's losses, or how many runs are pending."""
    key: Hashable = ("bias_variance", *((one.spec_hash, one.file.sha256) for one in runs.models.values()))
    cached = outputs.cache.get(key)
    if cached is None:
        predicted = [await _predicted(outputs, weights, budget) for weights in runs.models.values()]
        complete = [one for one in predicted if one is not None]
        if len(complete) < len(predicted):
            return ArmBiasVariance(runs=runs, pending=len(predicted) - len(complete), losses={})
        losses = await asyncio.to_thread(_losses, complete, runs)
        cached = RESULTS.dump_json(losses)
        outputs.cache.add(key, cached)
    return ArmBiasVariance(runs=runs, pending=0, losses=RESULTS.validate_json(cached))


async def _predicted(outputs: ModelOutputs, weights: ModelWeights, budget: _Budget) -> SplitOutputs | None:
    """Return the outputs of a model for the test rows; None if the time of the request is spent."""
    result = outputs.cached(weights, "test")
    if result is None and budget.is_left:
        start = time.monotonic()
        result = await outputs.compute(weights, "test")
        budget.spent += time.monotonic() - start
    return result


def _losses(predicted: Sequence[SplitOutputs], runs: PredictedRuns) -> dict[str, Decomposition]:
    """Return the parts of an arm's losses.

    Raises:
        Unprocessable: Some outputs are not numbers.
    """
    for one, weights in zip(predicted, runs.models.values(), strict=True):
        if not np.isfinite(one.outputs).all():
            message = f"Some outputs of {weights.run_id} are not numbers: training diverged."
            raise Unprocessable(f"{message} Use at=best, or select other arms with arm=NAME.")
    first = predicted[0]
    assert all(np.array_equal(one.targets, first.targets) for one in predicted), "runs of an arm have equal test rows"
    return decompose([one.outputs for one in predicted], first.targets, first.weights, classes=runs.classes)
