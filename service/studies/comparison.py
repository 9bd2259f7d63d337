"""A study's runs as groups that are compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.errors import FieldError, SpecRefused
from service.runs.states import TERMINAL
from service.statistics.comparison import Comparison, compare
from service.statistics.curves import Curve, curve
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.expansion import arm_id, steps_of, value_at
from service.studies.measurements import NOTHING, Floats, Kept, Placed, check_known, kept_series, measured, placed

ALPHA = 0.05
LOWER = re.compile(r"\.(loss|error|rmse)(_eval|_loo)?$|\.(objective|fpr)$|^penalty\.")
HIGHER = re.compile(r"\.(accuracy|r2)(_eval|_loo)?$|\.tpr$")
AT = re.compile(r"best|last|epoch:[1-9]\d{0,8}", re.ASCII)
ABSENT = "absent"
"""What a group is called whose specs have nothing at the path."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be compared; None is what the study says."""

    metric: str | None = None
    at: str | None = None
    baseline: str | None = None
    all_pairs: bool = False
    by: Sequence[str] = ("arm",)
    min_effect: float | None = None
    bootstrap: bool = False
    curves: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The answer, with what it was asked of."""

    study_id: str
    metric: str
    at: str
    exploratory: bool
    """Whether this is not what the study was made to answer."""
    optimistic: bool
    """Whether epochs were chosen on the test set."""
    lower_is_better: bool
    baseline: str | None
    by: Sequence[str]
    looks: int
    folds: int | None
    """How many of each arm were averaged within a seed."""
    complete: bool
    comparison: Comparison
    curves: Mapping[str, Sequence[Curve]]


def answer(connection: sa.Connection, study: Row, question: Question) -> Compared:
    """Compare the study's groups.

    Raises:
        SpecRefused: there is no such metric, epoch, arm or path.
    """
    metric, at = question.metric or study.metric, question.at or study.at
    _check(metric, at)
    by = tuple(question.by)
    apart = any(steps_of(path)[:2] in (["dataset"], ["dataset", "fold"]) for path in by)
    folds = None if apart else study.request.get("folds")
    runs = studies.runs_of(connection, study.id, specs=by != ("arm",), folds=folds is not None)
    kept = kept_series(connection, study.id, runs, list(dict.fromkeys([metric, *question.curves])))
    check_known(kept, metric, runs)
    groups, cells = _grouped(study, runs, by)
    places = placed(runs, cells, folds)
    baseline = None if question.all_pairs else _baseline(study, groups, question.baseline, by)
    comparison = compare(
        measured(places, kept, metric, at),
        groups=groups,
        baseline=baseline,
        lower_is_better=bool(LOWER.search(metric)),
        alpha=ALPHA / study.looks,
        seeds=study.seeds if by == ("arm",) else (),
        min_effect=question.min_effect,
        bootstrap=question.bootstrap,
    )
    return Compared(
        study_id=study.id,
        metric=metric,
        at=at,
        exploratory=(metric, at, by) != (study.metric, study.at, ("arm",)),
        optimistic=at == "best" and any((run.best or {}).get("optimistic") for run in runs),
        lower_is_better=bool(LOWER.search(metric)),
        baseline=baseline,
        by=by,
        looks=study.looks,
        folds=folds if by == ("arm",) else None,
        complete=all(run.status in TERMINAL for run in runs),
        comparison=comparison,
        curves={name: _curves(groups, places, kept, name, folds) for name in question.curves},
    )


def check_metric(metric: str, pointer: str) -> None:
    """Refuse a series that is neither better low nor better high.

    Raises:
        SpecRefused: there is nothing to compare by it.
    """
    if not LOWER.search(metric) and not HIGHER.search(metric):
        message = (
            f"{metric!r} says nothing of what is better; compare by a loss, an error, an accuracy or R² (val.loss)."
        )
        raise SpecRefused(message, errors=[FieldError(pointer, "no_direction", message)])


def check_at(at: str, pointer: str) -> None:
    """Refuse what is no epoch.

    Raises:
        SpecRefused: it is not best, last or epoch:N.
    """
    if not AT.fullmatch(at):
        message = f"{at!r} names no epoch; it is best, last or epoch:N (epoch:30)."
        raise SpecRefused(message, errors=[FieldError(pointer, "no_epoch", message, ["best", "last", "epoch:N"])])


def _check(metric: str, at: str) -> None:
    check_metric(metric, "metric")
    check_at(at, "at")


def _grouped(study: Row, runs: Sequence[Row], by: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The groups in order, and each run's group and cell: what else varies besides the seed."""
    arms = {arm["id"]: arm for arm in study.arms}
    if tuple(by) == ("arm",):
        return list(arms), [(run.arm, "") for run in runs]
    placed = []
    for run in runs:
        arm = arms[run.arm]
        values = {path: arm["name"] if path == "arm" else _at(run.spec, path) for path in by}
        rest = {path: value for path, value in arm["values"].items() if path not in by}
        placed.append((arm_id("", values).strip(" []"), arm["name"] if "arm" not in by else "", arm_id("", rest)))
    if all(group.endswith(f"={ABSENT}") for group, _, _ in placed):
        message = f"No spec of the study has anything at {', '.join(map(repr, by))}."
        raise SpecRefused(message, errors=[FieldError("by", "no_such_path", message)])
    groups_of_name: dict[str, set[str]] = {}
    for group, name, _ in placed:
        groups_of_name.setdefault(name, set()).add(group)
    # A name that is of one group only says nothing that the group does not say.
    shared = any(len(groups) > 1 for groups in groups_of_name.values())
    groups = list(dict.fromkeys(group for group, _, _ in placed))
    return groups, [(group, f"{name if shared else ''} {rest}") for group, name, rest in placed]


def _at(spec: Mapping[str, Any], path: str) -> Any:
    try:
        return value_at(spec, path)
    except KeyError:
        return ABSENT


def _baseline(study: Row, groups: Sequence[str], asked: str | None, by: Sequence[str]) -> str:
    if asked is None:
        return study.baseline if tuple(by) == ("arm",) else groups[0]
    if asked in groups:
        return asked
    message = f"There is no group {asked!r} to compare with; there are {', '.join(map(repr, groups))}."
    raise SpecRefused(message, errors=[FieldError("baseline", "no_such_arm", message, list(groups))])


def _curves(groups: Sequence[str], places: Sequence[Placed], kept: Kept, name: str, folds: int | None) -> list[Curve]:
    """Over seeds, of which all folds have come so far."""
    by_group: dict[str, dict[int, list[Floats]]] = {group: {} for group in groups}
    for one in places:
        values = NOTHING if one.run is None else kept.get((one.run.id, name), NOTHING)
        if folds is not None or len(values):
            by_group[one.group].setdefault(one.seed, []).append(values)
    return [curve(group, by_seed) for group, by_seed in by_group.items()]
