"""Learning curves of a study: groups of arms that differ only in dataset.train_size, and whether more rows would help.

The validation and test rows of a split do not depend on train_size, and the training rows of a smaller size are among
those of a larger one. So a replicate is one curve over all sizes, measured on the same rows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.states import TERMINAL
from service.statistics.learning_curve import MIN_SIZES, LearningCurve, LearningCurveQuestion, learning_curve
from service.statistics.pairing import Measurement
from service.statistics.summaries import Summary, summarize, values_by_seed
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.expansion import arm_id, path_steps
from service.studies.looks import ALPHA, NotYet, not_yet
from service.studies.measurements import assign_slots, check_series_exists, load_series, measure
from service.studies.metrics import EpochRule, SeriesOfRuns, check_at, check_metric, lower_is_better, rows_of
from service.studies.replicates import replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.study import Study
from service.studies.study_data import epoch_rule, replicate_design
from service.studies.variance import sources_of_variation
from worker.spec.run import RunSpec

AXIS = ["dataset", "train_size"]
SUGGESTED_SIZES = 5
MAX_STEPS_RATIO = 1.25
"""Sizes that are trained for more different numbers of steps get a warning."""


@dataclass(frozen=True, kw_only=True)
class CurveQuery:
    """A request for learning curves; None stands for the study's own metric and epoch, and for defaults."""

    metric: str | None = None
    at: str | None = None
    epoch_by: str | None = None
    min_effect: float | None = None
    target: float | None = None
    min_size: int | None = None


@dataclass(frozen=True)
class SizedArm:
    """An arm of a group, with its number of training rows; None if that is unknown because its runs were deleted."""

    arm: str
    rows: int | None
    steps_per_epoch: int


@dataclass(frozen=True, kw_only=True)
class SizeSummary:
    """The metric at one size."""

    rows: int
    used: bool
    """Whether the size is part of the fit."""
    summary: Summary
    last_epochs: int
    """Runs whose best epoch is their last."""


@dataclass(frozen=True, kw_only=True)
class GroupCurve:
    """The learning curve of a group of arms."""

    id: str
    sizes: Sequence[SizeSummary]
    curve: LearningCurve
    warnings: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class LearningCurves:
    """The learning curves of a study, with their metric and epoch."""

    study_id: str
    metric: str
    at: str
    epoch_by: str | None
    """The metric that chose the epochs; None if none was chosen."""
    exploratory: bool
    """Whether metric, epoch or sizes differ from those the study was created with."""
    optimistic: bool
    """Whether epochs were chosen on the rows that judge, or on the test set."""
    lower_is_better: bool
    alpha: float
    looks: int
    not_yet: NotYet | None
    generalizes_over: Sequence[str]
    complete: bool
    groups: Sequence[GroupCurve]


def learning_curves(connection: sa.Connection, study: Row, query: CurveQuery) -> LearningCurves:
    """Fit the learning curve of every group of arms that differ only in their number of training rows.

    Raises:
        SpecRefused: The study has no axis of sizes or is sequential, or the metric or epoch does not exist or is
            measured on the training rows.
    """
    metric, at = query.metric or study.metric, query.at or study.at
    check_metric(metric, "metric")
    check_at(at, "at")
    _check_rows(metric)
    rule = epoch_rule(study, at, query.epoch_by)
    groups = _groups(study, studies.spec_of_each_arm(connection, study.id))
    reader = _read(connection, study, metric, rule, query.min_size)
    own_effect = study.request.get("min_effect") if metric == study.metric else None
    question = LearningCurveQuestion(
        lower_is_better=lower_is_better(metric),
        alpha=ALPHA / study.looks,
        min_effect=query.min_effect or own_effect,
        target=query.target,
    )
    return LearningCurves(
        study_id=study.id,
        metric=metric,
        at=at,
        epoch_by=rule.chosen_by(reader.runs),
        exploratory=(metric, rule) != (study.metric, epoch_rule(study, study.at)) or query.min_size is not None,
        optimistic=rule.is_optimistic(reader.runs, metric),
        lower_is_better=question.lower_is_better,
        alpha=question.alpha,
        looks=study.looks,
        not_yet=reader.pending,
        generalizes_over=sources_of_variation(connection, study),
        complete=all(run.status in TERMINAL for run in reader.runs),
        groups=[reader.group_curve(group, arms, question, at) for group, arms in groups.items()],
    )


def _read(connection: sa.Connection, study: Row, metric: str, rule: EpochRule, min_size: int | None) -> _Reader:
    """Read the metric of the study's runs.

    Raises:
        SpecRefused: No run has the metric or the series that chooses epochs.
    """
    design = replicate_design(study)
    runs = studies.runs_of(
        connection, study.id, folds=design.folds is not None, splits=design.seeds_within_split is not None
    )
    values = load_series(connection, study.id, runs, list(dict.fromkeys([metric, *rule.series])))
    check_series_exists(values, metric, runs)
    for series in rule.series:
        check_series_exists(values, series, runs, "epoch_by")
    slots = assign_slots(runs, [(run.arm, "") for run in runs], design)
    return _Reader(
        runs=runs,
        measurements=measure(slots, values, metric, rule),
        last_epochs=_last_epochs(runs, values, metric, rule),
        seeds=replicate_numbers(study.request, study.seeds),
        min_size=min_size or 0,
        pending=not_yet(study, runs),
    )


def has_sizes(study: Study) -> bool:
    """Return whether a study has learning curves: a grid or sample over dataset.train_size, and fixed replicates."""
    return study.schedule is None and any(path_steps(path) == AXIS for arm in study.arms for path in arm.values)


def _groups(study: Row, specs: Mapping[str, Any]) -> dict[str, list[SizedArm]]:
    """Return the arms of each group, by increasing size.

    Raises:
        SpecRefused: No grid or sample has the axis dataset.train_size, or the study is sequential.
    """
    groups: dict[str, dict[int | None, SizedArm]] = {}
    for arm in study.arms:
        rest = {path: value for path, value in arm["values"].items() if path_steps(path) != AXIS}
        if len(rest) == len(arm["values"]):
            raise SpecRefused.at("", "no_train_size_axis", _advice(specs))
        sized = _sized(arm["id"], specs.get(arm["id"]))
        groups.setdefault(arm_id(arm["name"], rest), {})[sized.rows] = sized
    if schedule_of(study.request) is not None:
        message = (
            "A sequential study trains each size until it is decided, so sizes have different seeds and a curve over "
            'them is biased. Submit the study with a fixed number of replicates, such as "replicates": {"n": 8}.'
        )
        raise SpecRefused.at("", "sequential_study", message)
    return {group: sorted(arms.values(), key=lambda arm: arm.rows or 0) for group, arms in groups.items()}


def _sized(arm: str, spec: Any) -> SizedArm:
    if spec is None:
        return SizedArm(arm, None, 0)
    run = RunSpec.of(spec)
    return SizedArm(arm, run.dataset.training_rows, run.steps_per_epoch)


def _advice(specs: Mapping[str, Any]) -> str:
    """Return a message with a grid that works for the study's data."""
    datasets = [RunSpec.of(spec).dataset.model_copy(update={"train_size": None}) for spec in specs.values()]
    largest = min((dataset.training_rows for dataset in datasets), default=1600)
    sizes = sorted({max(1, largest >> halving) for halving in range(SUGGESTED_SIZES)})
    grid = json.dumps({"dataset.train_size": sizes})
    return (
        f'A learning curve needs runs of several sizes. Submit the study with "grid": {grid} (at least {MIN_SIZES} '
        'sizes, each about twice the one before) and "replicates": {"n": 8}.'
    )


def _check_rows(metric: str) -> None:
    """Refuse a metric whose rows depend on the size.

    Raises:
        SpecRefused: The metric is measured on the training rows.
    """
    if rows_of(metric) not in ("val", "test"):
        message = (
            f"{metric!r} is measured on the training rows, which differ from size to size. Use a metric on rows that "
            "are the same for all sizes, such as val.loss or test.loss."
        )
        raise SpecRefused.at("metric", "rows_differ", message)


def _last_epochs(runs: Sequence[Row], values: SeriesOfRuns, metric: str, rule: EpochRule) -> Mapping[str, int]:
    """Return the number of an arm's runs whose best epoch is their last; empty if no epoch is chosen."""
    if rule.at != "best":
        return {}
    succeeded = (run for run in runs if run.status == "succeeded")
    return Counter(run.arm for run in succeeded if run.epoch == rule.epoch(run, values, metric))


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """The measurements of a study's runs."""

    runs: Sequence[Row]
    measurements: Sequence[Measurement]
    last_epochs: Mapping[str, int]
    seeds: Sequence[int]
    min_size: int
    pending: NotYet | None

    def group_curve(self, group: str, arms: Sequence[SizedArm], question: LearningCurveQuestion, at: str) -> GroupCurve:
        """Return the learning curve of a group's arms."""
        names = [arm.arm for arm in arms]
        own = [one for one in self.measurements if one.group in names]
        summaries = summarize(own, groups=names, alpha=question.alpha, seeds=self.seeds)
        by_arm = values_by_seed(own, names)
        used = [arm for arm in arms if arm.rows is not None and arm.rows >= self.min_size]
        shared = sorted(set.intersection(*(set(by_arm[arm.arm]) for arm in used))) if used else []
        values = np.array([[by_arm[arm.arm][seed] for arm in used] for seed in shared]).reshape(len(shared), len(used))
        sizes = [
            SizeSummary(
                rows=arm.rows,
                used=arm in used,
                summary=summary if self.pending is None else replace(summary, interval=None),
                last_epochs=self.last_epochs.get(arm.arm, 0),
            )
            for arm, summary in zip(arms, summaries, strict=True)
            if arm.rows is not None
        ]
        if self.pending is not None:
            curve = LearningCurve(verdict="not_yet", reason=self.pending.message, replicates=len(shared))
            return GroupCurve(id=group, sizes=sizes, curve=curve, warnings=[])
        curve = learning_curve([arm.rows for arm in used if arm.rows is not None], values, question)
        curve = _without_verdict_on_survivors(curve, [size for size in sizes if size.used])
        warnings = [*curve.warnings, *self._left_out(shared), *self._unequal_training(arms, at)]
        return GroupCurve(id=group, sizes=sizes, curve=curve, warnings=warnings)

    def _left_out(self, shared: Sequence[int]) -> list[str]:
        left_out = len(set(self.seeds) - set(shared))
        if not left_out:
            return []
        are = "replicate is" if left_out == 1 else "replicates are"
        return [f"{left_out} {are} left out of the fit, because a size has no value: a run failed or was deleted."]

    def _unequal_training(self, arms: Sequence[SizedArm], at: str) -> list[str]:
        """Return a warning if smaller sizes may have been trained too briefly."""
        runs = Counter(run.arm for run in self.runs)
        short = [arm.rows for arm in arms if arm.rows and 2 * self.last_epochs.get(arm.arm, 0) > runs[arm.arm]]
        if at == "best" and short:
            rows = ", ".join(f"{size:,}" for size in short)
            return [
                f"At {rows} rows, the best epoch of most runs is the last. Longer training may improve these means and "
                "change the curve: raise the epochs, and use a stop rule if the larger sizes take too long."
            ]
        if at == "best":
            return []
        epochs = {run.arm: run.epoch if at == "last" else int(at.removeprefix("epoch:")) for run in self.runs}
        steps = [arm.steps_per_epoch * epochs.get(arm.arm, 0) for arm in arms]
        if steps and steps[-1] > MAX_STEPS_RATIO * steps[0]:
            return [
                f"The smallest size has been trained for {steps[0]:,} steps and the largest for {steps[-1]:,}. Compare "
                "the best epochs (at=best), or train all sizes equally long with the stop rule max_steps."
            ]
        return []


def _without_verdict_on_survivors(curve: LearningCurve, sizes: Sequence[SizeSummary]) -> LearningCurve:
    """Return the curve, undecided if runs diverged: means without them would be too good."""
    diverged = [size.rows for size in sizes if size.summary.diverged]
    if not diverged:
        return curve
    rows = ", ".join(f"{size:,}" for size in diverged)
    reason = (
        f"Replicates diverged at {rows} rows, and means over the others would be too good. Lower the learning rate, or "
        "leave the size out with min_size."
    )
    return replace(curve, verdict="undecided", reason=reason)
