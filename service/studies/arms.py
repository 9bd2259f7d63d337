"""The arms of a study as this server would train them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from service.callers import Caller
from service.errors import SpecRefused
from service.runs.submission import dataset_refs, teachers, warm_starts
from service.runs.submission.new_run import NewRun
from service.runs.submission.review import review
from service.settings import Settings
from service.store.database import reading
from service.studies.expansion import Arm, Plan, expand, in_study
from service.studies.replicates import check_split_varies
from service.studies.sequencer import check_steps
from service.studies.tuning import POINTER, Tune

Parse = Callable[[Mapping[str, Any]], NewRun]
"""Turns a run's body into the run to create."""


@dataclass(frozen=True)
class ArmResolver:
    """Expands plans into arms, and resolves the datasets, weights and teachers that the arms name."""

    engine: sa.Engine
    settings: Settings
    parse: Parse

    def resolve(self, plan: Plan, caller: Caller) -> list[Arm]:
        """Return the arms of a plan, each reviewed as a run would be.

        Raises:
            SpecRefused: The study is too large, or an arm cannot be trained here.
        """
        check_size(self.settings, plan.arm_count, len(plan.seeds), plan.folds, len(plan.splits or [0]))
        arms = expand(plan, lambda body: self._parsed(body, caller))
        with reading(self.engine) as connection:
            named = [warm_starts.resolve(connection, arm.run, caller) for arm in arms]
            named = [teachers.resolve(connection, one, caller) for one in named]
        arms = [replace(arm, run=run) for arm, run in zip(arms, named, strict=True)]
        for arm in arms:
            if plan.varies_split:
                check_split_varies(arm.id, arm.run.spec)
            try:
                # No later fold leaves fewer rows for training than the first.
                review(arm.at(*plan.replicates[0]).spec, self.settings)
            except SpecRefused as refusal:
                raise in_study(refusal, arm, plan) from refusal
        return arms

    def _parsed(self, body: Mapping[str, Any], caller: Caller) -> NewRun:
        """Return the run that a body describes, with the stored facts about the datasets it names."""
        new = self.parse(body)
        if not dataset_refs.references_upload(new.spec):
            return new
        with reading(self.engine) as connection:
            return dataset_refs.resolve(connection, new, caller)


def check_tuned(tune: Tune, at: str, arms: Sequence[Arm], caller: Caller, settings: Settings) -> None:
    """Check that a tuned study's search can choose by epochs ``at``, and that its confirmation is not too large.

    Raises:
        SpecRefused: An arm validates on no rows, never records a metric or epoch, or the confirmation has too many
            runs.
    """
    check_size(settings, len(tune.arms), tune.schedule.max, None)
    check_steps(caller, tune.schedule, len(tune.arms), f"{POINTER}/confirm")
    for arm in arms:
        assert arm.run.spec.evaluate.test == "never", f"{arm.id} would measure test rows"
        if not arm.run.spec.dataset.validation_rows:
            message = f"Arm {arm.name!r} has no validation rows to choose by. Set dataset.validation_size."
            raise SpecRefused.at("/base/dataset", "no_validation", message)
        _check_recorded(tune, at, arm)


def _check_recorded(tune: Tune, at: str, arm: Arm) -> None:
    """Refuse metrics and an epoch that an arm of a tuned study never records."""
    spec = arm.run.spec
    names = ("loss", *spec.effective_loss.metric_names, *spec.effective_loss.evaluation_names)
    confirm = f"{POINTER}/confirm"
    metrics = {f"{POINTER}/search/metric": tune.search.metric, f"{confirm}/metric": tune.confirm.metric}
    if at == "best" and tune.confirm.epoch_by is not None:
        metrics[f"{confirm}/epoch_by"] = tune.confirm.epoch_by
    for pointer, metric in metrics.items():
        rows, _, name = metric.partition(".")
        if rows in ("val", "test") and name not in names:
            known = [f"{rows}.{one}" for one in names]
            message = f"Arm {arm.name!r} never records {metric!r}. On these rows it records {', '.join(known)}."
            raise SpecRefused.at(pointer, "no_series", message, allowed=known)
    if at.startswith("epoch:") and int(at.removeprefix("epoch:")) > spec.epochs:
        message = f"Arm {arm.name!r} ends after epoch {spec.epochs:,} and has no {at}. Use last or an earlier epoch."
        raise SpecRefused.at("/at", "no_epoch", message)


def check_size(settings: Settings, arms: int, seeds: int, folds: int | None, splits: int = 1) -> None:
    """Check that a study has no more runs than the server accepts.

    Raises:
        SpecRefused: It has more.
    """
    if (runs := arms * seeds * (folds or 1) * splits) > settings.max_study_runs:
        replicates = f"{seeds:,} seeds on {folds} folds" if folds else f"{seeds:,} seeds"
        replicates += f" on {splits:,} splits" if splits > 1 else ""
        message = (
            f"{arms:,} arms with {replicates} are {runs:,} runs; this server accepts at most "
            f"{settings.max_study_runs:,} in a study (FITWELL_MAX_STUDY_RUNS)."
        )
        raise SpecRefused.at("", "too_many_runs", message)
