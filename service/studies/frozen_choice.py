"""The choice of a tuned study: a trial of every arm, frozen before the confirmation, and how it fared there."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa

from service.statistics.choice import Choice, choose
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.errors import NothingToChoose
from service.studies.expansion import Point
from service.studies.measurements import ReplicateDesign, assign_slots, load_series, measure
from service.studies.metrics import EpochRule, lower_is_better
from service.studies.sampling import Choice as ValueChoice
from service.studies.sampling import Space
from service.studies.simplicity import strength_orders
from service.studies.tuning import Tune, trials_of, tune_of

MAX_NAME = 200
"""Characters of a study's name that its confirmation repeats."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A chosen value at the edge of those tried, beyond which better ones may lie."""

    path: str
    value: float
    end: Literal["low", "high"]
    message: str


@dataclass(frozen=True, kw_only=True)
class FrozenArm:
    """The chosen trial of an arm."""

    arm: str
    trial: str
    """The id of the chosen trial."""
    best: str
    """The id of the trial with the best mean; another one if the rule preferred a simpler trial."""
    values: Point
    mean: float
    """Of the search's metric, over its replicates."""
    standard_error: float | None
    trials: int
    """Trials that could be chosen: no run of them diverged or is missing."""
    edges: Sequence[Edge]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How an arm's chosen trial fared in the confirmation, by the metric that the search chose by."""

    arm: str
    search: float
    confirmation: float | None
    """Its mean over the runs that are measured; None if none is."""
    runs: int
    gap: float | None
    """Confirmation minus search."""


def freeze(connection: sa.Connection, study: Row) -> list[FrozenArm]:
    """Choose a trial of every arm by the results of the search.

    Raises:
        NothingToChoose: All trials of an arm diverged, or their runs are missing.
    """
    tune = tune_of(study.request)
    assert tune is not None, f"{study.id} is not tuned"
    specs = studies.spec_of_each_arm(connection, study.id)
    runs = studies.runs_of(connection, study.id)
    rule, metric = search_rule(tune, study.at), tune.search.metric
    values = load_series(connection, study.id, runs, [metric])
    slots = assign_slots(runs, [(run.arm, "") for run in runs], ReplicateDesign())
    measurements = measure(slots, values, metric, rule)
    incomplete = {one.group for one in measurements if one.state == "missing"}
    points: dict[str, Point] = {arm["id"]: arm["values"] for arm in study.arms}
    frozen = []
    for name, space in tune.spaces.items():
        trials = trials_of(study.arms, name)
        complete = [trial for trial in trials if trial not in incomplete]
        orders = strength_orders(list(space), {trial: specs[trial] for trial in trials if trial in specs})
        choice = choose(
            [one for one in measurements if one.group in complete],
            arms=complete,
            rule=tune.search.select,
            simplicity={trial: tuple(order.rank(specs[trial]) for order in orders) for trial in trials},
            lower_is_better=lower_is_better(metric),
            on_folds=False,
        )
        if choice is None:
            raise NothingToChoose(
                f"No trial of arm {name!r} can be chosen by {metric}: all of them diverged or failed."
            )
        frozen.append(_frozen_arm(name, choice, {trial: points[trial] for trial in trials}, space))
    return frozen


def search_rule(tune: Tune, at: str) -> EpochRule:
    """Return the rule for the epoch at which the search measures: its metric chooses the best one."""
    return EpochRule(at, tune.search.metric if at == "best" else None)


def _frozen_arm(name: str, choice: Choice, points: Mapping[str, Point], space: Mapping[str, Space]) -> FrozenArm:
    chosen = next(one for one in choice.candidates if one.id == choice.chosen)
    assert chosen.mean is not None, f"{chosen.id} was chosen without a mean"
    return FrozenArm(
        arm=name,
        trial=chosen.id,
        best=choice.best,
        values=points[chosen.id],
        mean=chosen.mean,
        standard_error=chosen.standard_error,
        trials=sum(one.mean is not None for one in choice.candidates),
        edges=edges(points[chosen.id], list(points.values()), space),
    )


def edges(chosen: Point, points: Sequence[Point], space: Mapping[str, Space]) -> list[Edge]:
    """Return the values that are the smallest or largest tried; 0 as the lower end of a space does not count."""
    result = []
    for path, distribution in space.items():
        tried, value = [point[path] for point in points], chosen[path]
        if any(isinstance(one, bool) or not isinstance(one, int | float) for one in tried) or min(tried) == max(tried):
            continue
        low, high = (None, None) if isinstance(distribution, ValueChoice) else (distribution.low, distribution.high)
        if value == max(tried):
            remedy = "add larger ones" if high is None else f"raise high above {high:g}"
            message = f"{value:g} is the largest of the values tried for {path}. Larger ones may be better: {remedy}."
            result.append(Edge(path=path, value=value, end="high", message=message))
        elif value == min(tried) and low != 0:
            remedy = "add smaller ones" if low is None else f"lower low below {low:g}"
            message = f"{value:g} is the smallest of the values tried for {path}. Smaller ones may be better: {remedy}."
            result.append(Edge(path=path, value=value, end="low", message=message))
    return result


def stored(frozen: Sequence[FrozenArm]) -> list[dict[str, Any]]:
    """Return the choice as it is stored and hashed."""
    return [asdict(arm) for arm in frozen]


def gaps(connection: sa.Connection, study: Row, confirmation: Row) -> list[Gap]:
    """Return for each arm how the mean of its chosen trial in the confirmation differs from that in the search."""
    tune = tune_of(study.request)
    assert tune is not None, f"{study.id} is not tuned"
    runs = studies.runs_of(connection, confirmation.id)
    metric = tune.search.metric
    values = load_series(connection, confirmation.id, runs, [metric])
    slots = assign_slots(runs, [(run.arm, "") for run in runs], ReplicateDesign())
    by_arm: dict[str, list[float]] = {}
    for one in measure(slots, values, metric, search_rule(tune, study.at)):
        if one.state == "measured":
            by_arm.setdefault(one.group, []).append(one.value)
    result = []
    for arm in study.tuning["choice"]:
        measured = by_arm.get(arm["arm"], [])
        mean = statistics.fmean(measured) if measured else None
        gap = None if mean is None else mean - arm["mean"]
        result.append(Gap(arm=arm["arm"], search=arm["mean"], confirmation=mean, runs=len(measured), gap=gap))
    return result


def confirmation_request(study: Row, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the body of the study that confirms the choice of a tuned one; ``specs`` are run bodies by trial.

    Fields that all arms have in common are in its base.
    """
    tune = tune_of(study.request)
    assert tune is not None, f"{study.id} is not tuned"
    bodies = {arm["arm"]: specs[arm["trial"]] for arm in study.tuning["choice"]}
    first = next(iter(bodies.values()))
    base = {key: value for key, value in first.items() if all(body.get(key) == value for body in bodies.values())}
    arms = {name: {key: value for key, value in body.items() if key not in base} for name, body in bodies.items()}
    name = study.name or study.id
    return {
        "name": f"{name[:MAX_NAME]}: confirmation",
        "base": base,
        "arms": arms,
        "seeds": tune.schedule.model_dump(mode="json"),
        "metric": tune.confirm.metric,
        "at": study.at,
        "epoch_by": tune.confirm.epoch_by if study.at == "best" else None,
        "baseline": study.request.get("baseline") or next(iter(bodies)),
        "min_effect": tune.confirm.min_effect,
    }
