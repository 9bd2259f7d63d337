"""Diagnoses of a study's arms, each from the loss curves of all its seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from service.runs.advice import HELD_OUT, TRAIN
from service.runs.states import TERMINAL
from service.statistics.arm_diagnosis import ArmCurves, ArmDiagnosis, diagnose_arm
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.measurements import ReplicateDesign, load_series
from service.studies.metrics import EMPTY, Floats, SeriesOfRuns
from service.studies.study_data import replicate_design
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class DiagnosedArm:
    """The diagnosis of an arm."""

    arm: str
    diagnosis: ArmDiagnosis
    diverged: int
    unfinished: int
    guessing: float | None
    """The mean loss of predictions that ignore the inputs; None if it is unknown."""


@dataclass(frozen=True)
class StudyDiagnosis:
    """The diagnoses of all arms, with the series that they are based on; None if no run has them."""

    study_id: str
    train_metric: str | None
    metric: str | None
    complete: bool
    arms: Sequence[DiagnosedArm]


def diagnose_arms(connection: sa.Connection, study: Row) -> StudyDiagnosis:
    """Diagnose every arm of the study from its finished seeds."""
    design = replicate_design(study)
    splits = design.seeds_within_split is not None
    runs = studies.runs_of(connection, study.id, folds=design.folds is not None, splits=splits)
    values = load_series(connection, study.id, runs, [*TRAIN, *HELD_OUT])
    specs = studies.spec_of_each_arm(connection, study.id)
    every = {arm: RunSpec.of(spec).evaluate.every for arm, spec in specs.items()}
    values = _evaluated(runs, values, every)
    names = [
        next((one for one in choices if _in_every_run(runs, values, one, every)), None) for choices in (TRAIN, HELD_OUT)
    ]
    guessing = {name: studies.guessing_of(connection, study.id, name) for name in (names[1], "train.loss") if name}
    arms = [
        _diagnosed(arm["id"], [run for run in runs if run.arm == arm["id"]], design, values, names, guessing, specs)
        for arm in study.arms
    ]
    complete = all(run.status in TERMINAL for run in runs)
    return StudyDiagnosis(study.id, names[0], names[1], complete, arms)


def _evaluated(runs: Sequence[Row], values: SeriesOfRuns, every: Mapping[str, int]) -> SeriesOfRuns:
    """Return the series without the epochs that are not evaluated; ``every`` is by arm."""
    arms = {run.id: run.arm for run in runs}
    return {key: series[every[arms[key[0]]] - 1 :: every[arms[key[0]]]] for key, series in values.items()}


def _in_every_run(runs: Sequence[Row], values: SeriesOfRuns, name: str, every: Mapping[str, int]) -> bool:
    """Return whether every run that succeeded has this series, in every evaluated epoch."""
    lengths = [
        (run.epoch // every[run.arm], values.get((run.id, name), EMPTY)) for run in runs if run.status == "succeeded"
    ]
    return bool(lengths) and all(len(series) == count and np.isfinite(series).all() for count, series in lengths)


def _diagnosed(
    arm: str,
    runs: Sequence[Row],
    design: ReplicateDesign,
    values: SeriesOfRuns,
    names: Sequence[str | None],
    guessing_of_runs: Mapping[str, Mapping[str, float]],
    specs: Any,
) -> DiagnosedArm:
    """Diagnose one arm. A replicate with several runs (folds, or seeds) counts if all succeeded, by their mean."""
    by_seed: dict[int, list[Row]] = {}
    for run in runs:
        by_seed.setdefault(design.replicate(run), []).append(run)
    diverged = sum(any(run.error_code == "diverged" for run in own) for own in by_seed.values())
    unfinished = sum(any(run.status not in TERMINAL for run in own) for own in by_seed.values())
    whole = [own for own in by_seed.values() if all(run.status == "succeeded" for run in own)]
    train, held_out = names
    if train is None or held_out is None:
        missing = "a training loss" if train is None else "a validation or test loss"
        reason = f"Not every evaluated epoch of every run has {missing}." if whole else "No seed has finished."
        return DiagnosedArm(arm, ArmDiagnosis("undecided", reason, len(whole)), diverged, unfinished, None)
    guessing = [_guessing(runs, guessing_of_runs[name], RunSpec.of(specs[arm])) for name in (held_out, "train.loss")]
    curves = ArmCurves(
        train=[_mean_curve(own, values, train) for own in whole],
        held_out=[_mean_curve(own, values, held_out) for own in whole],
        guessing=guessing[0],
        train_guessing=guessing[1],
        diverged=diverged,
        simpler=not RunSpec.of(specs[arm]).model.trains,
        every=RunSpec.of(specs[arm]).evaluate.every,
    )
    known = guessing[0] if math.isfinite(guessing[0]) else None
    return DiagnosedArm(arm, diagnose_arm(curves), diverged, unfinished, known)


def _mean_curve(runs: Sequence[Row], values: SeriesOfRuns, name: str) -> Floats:
    """Return the mean curve of a seed's runs, over the epochs that all of them have."""
    curves = [values[run.id, name] for run in runs]
    shortest = min(map(len, curves))
    mean: Floats = np.mean([curve[:shortest] for curve in curves], axis=0)
    return mean


def _guessing(runs: Sequence[Row], recorded: Mapping[str, float], spec: RunSpec) -> float:
    """Return the mean loss of guessing; of runs without baselines, that of equal classes."""
    known = [recorded[run.id] for run in runs if run.id in recorded]
    if known:
        return float(np.mean(known))
    return math.log(len(spec.dataset.classes)) if spec.dataset.classes else math.inf
