"""The runs of an arm whose predictions are compared: their models, their test rows, and why others do not count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.errors import Refusal, SpecRefused
from service.models.errors import FileLost
from service.models.outputs import OUTPUT_BYTES, ROW_BYTES, ModelOutputs
from service.models.service import OUTPUT_CACHE_BYTES
from service.models.weights import ModelWeights
from service.runs.errors import NotMeasured, RunNotFound
from service.runs.saved_weights import At
from service.statistics.bias_variance import MIN_RUNS
from service.statistics.pairing import State
from service.studies.design import StudyDesign
from service.studies.measurements import Slot, run_state
from worker.spec.run import RunSpec

ARM_BYTES = OUTPUT_CACHE_BYTES // 2
"""Outputs of an arm that are held at once."""
SPLIT_FIELDS = ("split_seed", "fold")
"""Fields in which the datasets of an arm may differ without having other test rows."""
Place = tuple[int, str]
"""The replicate and the cell of a run."""


@dataclass(frozen=True, kw_only=True)
class PredictedRuns:
    """The models of an arm's runs, by replicate and cell, and how many replicates have none."""

    arm: str
    models: Mapping[Place, ModelWeights]
    rows: int
    """Test rows."""
    classes: int
    """0 for numeric targets."""
    diverged: int
    unfinished: int
    missing: int
    left_out: int
    """Runs beyond those whose outputs are held at once."""


def predicted_runs(
    outputs: ModelOutputs, design: StudyDesign, arm: str, slots: Sequence[Slot], at: At
) -> PredictedRuns:
    """Return the models of an arm's finished runs.

    Raises:
        NotMeasured: Fewer than two runs have finished and have weights, or the arm is not evaluated on test rows.
        SpecRefused: The runs have different test rows.
        Sealed: The test part is sealed.
    """
    states = Counter(run_state(slot.run) for slot in slots)
    models, absent = _models(outputs, slots, at)
    if len(models) < MIN_RUNS:
        if absent and states["measured"] >= MIN_RUNS:
            raise absent[0]
        raise NotMeasured(_too_few(arm, states))
    weights = list(models.values())
    spec = RunSpec.of(weights[0].spec)
    if spec.evaluate.test == "never" or not spec.dataset.rows[1]:
        reason = "its dataset has no test rows" if not spec.dataset.rows[1] else "evaluate.test is 'never'"
        raise NotMeasured(f"The runs of arm {arm!r} are not evaluated on test rows: {reason}.")
    outputs.check_unsealed(weights[0].run_id, "test")
    _check_test_rows(arm, weights)
    limit = max(MIN_RUNS, ARM_BYTES // (spec.dataset.rows[1] * (ROW_BYTES + OUTPUT_BYTES * spec.dataset.outputs)))
    replicates = {slot.seed for slot in slots}
    return PredictedRuns(
        arm=arm,
        models=dict(list(models.items())[:limit]),
        rows=spec.dataset.rows[1],
        classes=len(spec.dataset.classes),
        diverged=states["diverged"],
        unfinished=states["unfinished"],
        missing=states["missing"] + len(absent) + len(set(design.expected) - replicates),
        left_out=max(0, len(models) - limit),
    )


def _models(
    outputs: ModelOutputs, slots: Sequence[Slot], at: At
) -> tuple[dict[Place, ModelWeights], Sequence[Refusal]]:
    """Return the models of the runs that succeeded, and the errors of those without weights."""
    models: dict[Place, ModelWeights] = {}
    absent: list[Refusal] = []
    for slot in sorted(slots, key=lambda slot: (slot.seed, slot.cell)):
        if slot.run is not None and run_state(slot.run) == "measured":
            try:
                models[slot.seed, slot.cell] = outputs.find(slot.run.id, at)
            except (RunNotFound, NotMeasured, FileLost) as error:
                absent.append(error)
    return models, absent


def _too_few(arm: str, states: Mapping[State, int]) -> str:
    """Return why an arm has too few runs."""
    finished, active = states.get("measured", 0), states.get("unfinished", 0)
    message = (
        f"Arm {arm!r} has {finished} finished run{'s' if finished != 1 else ''}; bias and variance need at least "
        f"{MIN_RUNS}, which differ in their seed or in their training rows."
    )
    if active:
        return f"{message} {active} more {'are' if active != 1 else 'is'} queued or running."
    return f"{message} Add seeds, or select other arms with arm=NAME."


def _check_test_rows(arm: str, weights: Sequence[ModelWeights]) -> None:
    """Check that all runs of an arm have the same test rows.

    Raises:
        SpecRefused: They differ.
    """
    by_content = {
        json.dumps(
            {name: value for name, value in one.spec["dataset"].items() if name not in SPLIT_FIELDS}, sort_keys=True
        ): one
        for one in weights
    }
    datasets = [RunSpec.of(one.spec).dataset for one in by_content.values()]
    if len({dataset.digest() for dataset in datasets}) > 1:
        fix = (
            "Set dataset.data_seed, so that all runs have the same data, and vary the split to resample training rows."
            if datasets[0].unseeded() != datasets[0]
            else "Group runs of one dataset into an arm."
        )
        message = f"The runs of arm {arm!r} predict different test rows, since their data differ. {fix}"
        raise SpecRefused.at("", "test_rows_differ", message)
