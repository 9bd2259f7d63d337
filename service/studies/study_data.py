"""The runs of a study with their series, grouped by arms or by other fields of their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.errors import SpecRefused
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.expansion import DATASET, arm_id, path_steps, value_at
from service.studies.measurements import ReplicateDesign, Slot, assign_slots, check_series_exists, load_series
from service.studies.metrics import EpochRule, SeriesOfRuns, check_epoch_by
from service.studies.replicates import generalizes_over

ABSENT = "absent"
"""The value of a path that a spec does not have."""


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """The runs of a study with their series, in groups."""

    runs: Sequence[Row]
    values: SeriesOfRuns
    groups: Sequence[str]
    slots: Sequence[Slot]
    design: ReplicateDesign


def read_study(
    connection: sa.Connection, study: Row, by: Sequence[str], metric: str, rule: EpochRule, curves: Sequence[str]
) -> StudyData:
    """Read the series of the study's runs.

    Raises:
        SpecRefused: No run has the metric or a series of the rule, or no spec a path of ``by``.
    """
    apart = any(path_steps(path)[:2] in (["dataset"], ["dataset", "fold"], ["dataset", "split_seed"]) for path in by)
    design = replicate_design(study) if not apart else ReplicateDesign()
    runs = studies.runs_of(
        connection,
        study.id,
        specs=tuple(by) != ("arm",),
        folds=design.folds is not None,
        splits=design.seeds_within_split is not None,
    )
    values = load_series(connection, study.id, runs, list(dict.fromkeys([metric, *rule.series, *curves])))
    check_series_exists(values, metric, runs)
    for series in rule.series:
        check_series_exists(values, series, runs, "epoch_by")
    groups, cells = _grouped(study, runs, by)
    return StudyData(runs=runs, values=values, groups=groups, slots=assign_slots(runs, cells, design), design=design)


def replicate_design(study: Row) -> ReplicateDesign:
    """Return how the study's runs form replicates."""
    within = study.seeds if generalizes_over(study.request) == ["split"] else None
    return ReplicateDesign(folds=study.request.get("folds"), seeds_within_split=within)


def epoch_rule(study: Row, at: str, epoch_by: str | None = None) -> EpochRule:
    """Return the rule for the epoch ``at``; by default the study's own metric chooses the best.

    Raises:
        SpecRefused: ``epoch_by`` cannot choose an epoch.
    """
    check_epoch_by(epoch_by, at, "epoch_by")
    return EpochRule(at, (epoch_by or study.request.get("epoch_by")) if at == "best" else None)


def _grouped(study: Row, runs: Sequence[Row], by: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the groups in order, and each run's group and cell (the values of all factors but the seed)."""
    arms = {arm["id"]: arm for arm in study.arms}
    if tuple(by) == ("arm",):
        return list(arms), [(run.arm, "") for run in runs]
    keys = []
    for run in runs:
        arm = arms[run.arm]
        values = {path: _at(run.spec, path, arm) for path in by}
        rest = {path: value for path, value in arm["values"].items() if path not in by}
        keys.append((arm_id("", values).strip(" []"), arm["name"] if "arm" not in by else "", arm_id("", rest)))
    if all(group.endswith(f"={ABSENT}") for group, _, _ in keys):
        message = f"No spec of the study has the field {', '.join(map(repr, by))}."
        raise SpecRefused.at("by", "no_such_path", message)
    groups_of_name: dict[str, set[str]] = {}
    for group, name, _ in keys:
        groups_of_name.setdefault(name, set()).add(group)
    # The names add nothing if each belongs to a single group.
    shared = any(len(groups) > 1 for groups in groups_of_name.values())
    groups = list(dict.fromkeys(group for group, _, _ in keys))
    return groups, [(group, f"{name if shared else ''} {rest}") for group, name, rest in keys]


def _at(spec: Mapping[str, Any], path: str, arm: Mapping[str, Any]) -> Any:
    """Return the value at ``path`` of an arm's spec, the arm's name, or the name of its dataset."""
    if path == "arm":
        return arm["name"]
    if path == DATASET and isinstance(arm["values"].get(path), str):
        return arm["values"][path]
    try:
        return value_at(spec, path)
    except KeyError:
        return ABSENT
