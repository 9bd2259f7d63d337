"""The cost of a study before it is queued."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from service.runs.submission.review import estimate, stack_runs
from service.settings import Settings
from service.statistics.power import min_seeds
from service.studies.expansion import Arm
from service.studies.looks import ALPHA, Inherited, warnings
from service.studies.new_study import NewStudy
from service.studies.tuning import tuning_warnings
from worker.spec.keys import stack_key
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class Preview:
    """The cost of a study that has not been queued."""

    runs: int
    max_runs: int
    """Runs of a sequential study that decides nothing early, or of a tuned one whose confirmation does not."""
    reused: int
    arms: Sequence[str]
    seeds: Sequence[int]
    splits: Sequence[int] | None
    folds: int | None
    stacks: int
    seconds: float
    bytes: int
    preceding_runs: int
    """Runs of teachers and of warm starts to train first that are none of the study's."""
    preceding_seconds: float
    looks: int
    looks_from: Sequence[str]
    min_seeds: int
    warnings: Sequence[str]


def preview(
    new: NewStudy,
    arms: Sequence[Arm],
    fresh: Sequence[RunSpec],
    first: Sequence[RunSpec],
    earlier: Inherited,
    settings: Settings,
) -> Preview:
    """Return the cost of a study; ``fresh`` are its runs that cannot reuse a result, ``first`` those to train first."""
    plan = new.plan
    runs = len(arms) * len(plan.replicates)
    replicates = plan.seeds if plan.splits is None else plan.splits
    costs = [estimate(spec) for spec in fresh]
    return Preview(
        runs=runs,
        max_runs=len(arms) * len(new.full_plan.replicates) + _confirmation_runs(new),
        reused=runs - len(fresh),
        arms=[arm.id for arm in arms],
        seeds=plan.seeds,
        splits=plan.seeds if plan.split_follows_seed else plan.splits,
        folds=plan.folds,
        stacks=_stacks(fresh, settings),
        seconds=sum(cost.seconds for cost in costs),
        bytes=max((cost.bytes for cost in costs), default=0),
        preceding_runs=len(first),
        preceding_seconds=sum(estimate(spec).seconds for spec in first),
        looks=earlier.looks,
        looks_from=earlier.studies,
        min_seeds=min_seeds(ALPHA / earlier.looks, 1),
        warnings=warnings(len(arms), replicates, new.schedule, earlier.looks, earlier.studies, earlier.seeds)
        if new.tune is None
        else tuning_warnings(new.tune, {}),
    )


def _confirmation_runs(new: NewStudy) -> int:
    """Return the largest number of runs that the confirmation of a tuned study may have."""
    return 0 if new.tune is None else len(new.tune.arms) * new.tune.schedule.max


def _stacks(specs: Sequence[RunSpec], settings: Settings) -> int:
    """Return the number of stacks that train these runs."""
    stacks = 0
    for _, group in itertools.groupby(sorted(specs, key=stack_key), key=stack_key):
        peers = list(group)
        stacks += -(-len(peers) // stack_runs(peers[0], settings))
    return stacks
