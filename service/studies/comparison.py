"""The comparison of groups of a study's runs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import sqlalchemy as sa

from service.errors import SpecRefused
from service.runs.states import TERMINAL
from service.statistics.choice import Choice
from service.statistics.comparison import Comparison, compare, samples_of
from service.statistics.curves import Band, Curve, Series, curve
from service.statistics.pairing import Measurement, PairedSample
from service.statistics.resampling import VarianceComponents
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.choice import best_arm
from service.studies.crossings import first_epochs
from service.studies.datasets import pairs_within_datasets
from service.studies.looks import ALPHA, NotYet, not_yet
from service.studies.measurements import (
    ReplicateDesign,
    Slot,
    assign_slots,
    check_series_exists,
    load_series,
    measure,
)
from service.studies.metrics import (
    EMPTY,
    EpochRule,
    check_at,
    check_metric,
    lower_is_better,
    possible_range,
)
from service.studies.question import Question
from service.studies.replicates import replicate_numbers
from service.studies.schedule import schedule_of
from service.studies.sequential import Course, course_of, judged, parsed, results_at, why_not_yet
from service.studies.study_data import StudyData, epoch_rule, read_study, replicate_design
from service.studies.variance import (
    SplitTest,
    components_of,
    corrected_p_values,
    sources_of_variation,
    tests_of_splits,
)
from worker.spec.watched import is_evaluated


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison, with its metric, epoch, groups and baseline."""

    study_id: str
    metric: str
    at: str
    epoch_by: str | None
    """The metric that chose the epochs; None if none was chosen."""
    exploratory: bool
    """Whether metric, epoch, groups or baseline differ from those the study was created with."""
    optimistic: bool
    """Whether epochs were chosen on the rows that judge, or on the test set."""
    lower_is_better: bool
    baseline: str | None
    by: Sequence[str]
    looks: int
    """Interim analyses, over which alpha is split."""
    looks_from: Sequence[str]
    not_yet: NotYet | None
    """Why no verdict is given, or only some."""
    course: Course | None
    """How far a sequential study has come; None if the seeds are fixed."""
    folds: int | None
    """Folds of each arm averaged within a seed."""
    generalizes_over: Sequence[str]
    """Sources of variation that replicates differ in: ``seed``, ``split``, ``data``."""
    variances: Mapping[tuple[str, ...], VarianceComponents]
    """By group, and by pair; only if every split has several seeds."""
    corrected: Mapping[tuple[str, ...], float]
    """Nadeau and Bengio's p by pair; only if the judging rows differ between replicates."""
    of_splits: Mapping[tuple[str, ...], Sequence[SplitTest]]
    """By pair, if requested: the comparison on each split alone."""
    complete: bool
    comparison: Comparison
    best: Choice | None
    """The best arm, and those within one standard error of it; None while runs are unfinished."""
    guessing: Mapping[str, float]
    """By group: the mean of the metric for predictions that ignore the inputs."""
    curves: Mapping[str, Sequence[Curve]]


class Sample(TypedDict):
    """Measurements of groups, and the pairs of groups to compare."""

    measurements: Sequence[Measurement]
    groups: Sequence[str]
    baseline: str | None
    pairs: Sequence[tuple[str, str]] | None
    lower_is_better: bool
    seeds: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """A comparison with its verdicts, or the reason why they are not due."""

    comparison: Comparison
    exploratory: bool
    not_yet: NotYet | None
    course: Course | None


def compare_groups(connection: sa.Connection, study: Row, question: Question) -> Compared:
    """Compare groups of the study's runs.

    Raises:
        SpecRefused: The metric, epoch, arm or path does not exist.
    """
    metric, at = question.metric or study.metric, question.at or study.at
    if question.directed:
        check_metric(metric, "metric")
    check_at(at, "at")
    rule, by = epoch_rule(study, at, question.epoch_by), tuple(question.by)
    data, measurements = _measured(connection, study, question, metric, rule)
    baseline = None if question.all_pairs else _baseline(study, data.groups, question.baseline, by)
    exploratory = (metric, rule, by) != (study.metric, epoch_rule(study, study.at), ("arm",))
    exploratory = exploratory or baseline not in (None, study.baseline) or question.crosses is not None
    lower = question.prefers_lower(metric)
    sample = _sample(study, measurements, data.groups, baseline, lower, by_arm=by == ("arm",))
    verdicts = _judged(connection, study, question, data.runs, sample, exploratory=exploratory)
    complete = all(run.status in TERMINAL for run in data.runs)
    pairs, several = verdicts.comparison.pairs, data.design.seeds_within_split is not None
    return Compared(
        study_id=study.id,
        metric=metric,
        at=at,
        epoch_by=rule.chosen_by(data.runs),
        exploratory=verdicts.exploratory,
        optimistic=rule.is_optimistic(data.runs, metric),
        lower_is_better=lower,
        baseline=baseline,
        by=by,
        looks=study.looks,
        looks_from=study.looks_from,
        not_yet=verdicts.not_yet,
        folds=data.design.folds if by == ("arm",) else None,
        generalizes_over=sources_of_variation(connection, study),
        variances=components_of(measurements, pairs) if several else {},
        corrected=corrected_p_values(connection, study, metric, pairs),
        of_splits=tests_of_splits(measurements, pairs, lower) if several and question.each_split else {},
        course=verdicts.course,
        complete=complete,
        comparison=verdicts.comparison,
        best=best_arm(study, measurements, data, lower) if complete and by == ("arm",) else None,
        guessing=_guessing(data.slots, studies.guessing_of(connection, study.id, metric)),
        curves=_curves_by_name(connection, study, data, question),
    )


def _measured(
    connection: sa.Connection, study: Row, question: Question, metric: str, rule: EpochRule
) -> tuple[StudyData, list[Measurement]]:
    """Return the study's data, and the measurements that the question is about."""
    after = [] if question.after is None else [question.after]
    data = read_study(connection, study, question.by, metric, rule, [*question.curves, *after])
    if question.crosses is None:
        return data, measure(data.slots, data.values, metric, rule)
    for name in after:
        check_series_exists(data.values, name, data.runs, "after")
    return data, first_epochs(data.slots, data.values, metric, question.crosses, question.after)


def _judged(
    connection: sa.Connection, study: Row, question: Question, runs: Sequence[Row], sample: Sample, *, exploratory: bool
) -> Verdicts:
    """Compare the groups; in a sequential study, its newest look decides."""
    schedule, own_effect = schedule_of(study.request), study.request.get("min_effect")
    own_effect = own_effect if question.crosses is None else None  # it is in units of the metric
    min_effect = question.min_effect or own_effect
    looks = [] if schedule is None else studies.looks_of(connection, study.id)
    pending = not_yet(study, runs) if schedule is None else why_not_yet(study, runs, looks, schedule)
    comparison = compare(
        **sample,
        alpha=ALPHA / study.looks,
        correction=question.correction,
        min_effect=min_effect,
        bootstrap=question.bootstrap,
        due=schedule is None and pending is None,
        next_alpha=ALPHA / (study.looks + 1),
    )
    if looks:  # which answer the study's own question only
        exploratory = exploratory or sample["baseline"] is None or min_effect != own_effect
        results = (
            results_at(study, samples_of(**sample), looks[-1].seeds, min_effect) if exploratory else parsed(looks[-1])
        )
        comparison = judged(comparison, results, ended=study.next_look is None and pending is None)
    course = None if schedule is None else course_of(study, schedule, looks)
    return Verdicts(comparison=comparison, exploratory=exploratory, not_yet=pending, course=course)


def _sample(
    study: Row,
    measurements: Sequence[Measurement],
    groups: Sequence[str],
    baseline: str | None,
    lower: bool,
    *,
    by_arm: bool,
) -> Sample:
    """Return the measurements and the pairs to compare.

    Arms that a sequential study has decided are not expected to have the seeds that were added later.
    """
    fixed = schedule_of(study.request) is None
    return {
        "measurements": measurements,
        "groups": groups,
        "baseline": baseline,
        "pairs": pairs_within_datasets(study, baseline) if by_arm else None,
        "lower_is_better": lower,
        "seeds": replicate_numbers(study.request, study.seeds) if by_arm and fixed else (),
    }


def own_samples(connection: sa.Connection, study: Row) -> list[PairedSample]:
    """Return the paired samples of the study's own question."""
    design, rule = replicate_design(study), epoch_rule(study, study.at)
    runs = studies.runs_of(connection, study.id, folds=design.folds is not None)
    values = load_series(connection, study.id, runs, list(dict.fromkeys([study.metric, *rule.series])))
    slots = assign_slots(runs, [(run.arm, "") for run in runs], design)
    return samples_of(
        measure(slots, values, study.metric, rule),
        groups=[arm["id"] for arm in study.arms],
        baseline=study.baseline,
        lower_is_better=lower_is_better(study.metric),
        seeds=study.seeds,
    )


def _baseline(study: Row, groups: Sequence[str], requested: str | None, by: Sequence[str]) -> str:
    if requested is None:
        return study.baseline if tuple(by) == ("arm",) else groups[0]
    if requested in groups:
        return requested
    message = f"Unknown baseline {requested!r}. The groups are {', '.join(map(repr, groups))}."
    raise SpecRefused.at("baseline", "no_such_arm", message, allowed=list(groups))


def _guessing(slots: Sequence[Slot], of_runs: Mapping[str, float]) -> dict[str, float]:
    """Return the mean over each group's runs that recorded a baseline; without groups that have none."""
    by_group: dict[str, list[float]] = {}
    for slot in slots:
        if slot.run is not None and slot.run.id in of_runs:
            by_group.setdefault(slot.group, []).append(of_runs[slot.run.id])
    return {group: statistics.fmean(values) for group, values in by_group.items()}


def _curves_by_name(
    connection: sa.Connection, study: Row, data: StudyData, question: Question
) -> dict[str, list[Curve]]:
    """Return the requested curves by series."""
    specs = studies.spec_of_each_arm(connection, study.id) if question.curves else {}
    every = {arm: spec["evaluate"].get("every", 1) for arm, spec in specs.items()}
    return {name: _curves(data, name, every, question.band) for name in question.curves}


def _curves(data: StudyData, name: str, every: Mapping[str, int], band: Band) -> list[Curve]:
    """Return each group's curve over its replicates, up to the epoch that all cells of a replicate have reached.

    ``every`` is the number of epochs from one evaluation of an arm to the next.
    """
    by_group: dict[str, dict[int, list[Series]]] = {group: {} for group in data.groups}
    intervals: dict[str, int] = {}
    for slot in data.slots:
        values = EMPTY if slot.run is None else data.values.get((slot.run.id, name), EMPTY)
        if data.design != ReplicateDesign() or len(values):
            status = "" if slot.run is None else slot.run.status
            series = Series(values, succeeded=status == "succeeded", failed=status in ("failed", "cancelled"))
            by_group[slot.group].setdefault(slot.seed, []).append(series)
        if slot.run is not None and is_evaluated(name):
            intervals[slot.group] = math.lcm(intervals.get(slot.group, 1), every[slot.run.arm])
    options: Any = {"band": band, "limits": possible_range(name)}
    return [curve(group, by_seed, every=intervals.get(group, 1), **options) for group, by_seed in by_group.items()]
