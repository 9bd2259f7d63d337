"""A study to create, and the defaults of its metric and baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.errors import SpecRefused
from service.studies.expansion import Arm, Plan
from service.studies.schedule import Schedule
from service.studies.study import StudyMetadata
from service.studies.tuning import Tune


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """A study to create."""

    metadata: StudyMetadata
    request: Mapping[str, Any]
    """The request body, so that the study can be repeated."""
    plan: Plan
    metric: str | None
    at: str
    epoch_by: str | None
    baseline: str | None
    schedule: Schedule | None = None
    """Of a sequential study, whose ``plan`` has the seeds of the first look."""
    tune: Tune | None = None
    """Of a tuned study, whose ``plan`` is the search."""

    @property
    def full_plan(self) -> Plan:
        """The plan with all seeds that the study may use."""
        if self.schedule is None:
            return self.plan
        return replace(self.plan, seeds=self.schedule.seeds(self.schedule.max))


def primary_metric(new: NewStudy, arms: Sequence[Arm]) -> str:
    """Return the requested primary metric, or the loss on rows that do not choose the epoch.

    If validation rows choose the best epoch, the default is test.loss. It is val.loss for other epochs, with folds
    (where validation rows are the ones to compare on), and if some arm does not measure test.loss in every epoch. It is
    test.loss if an arm holds out no rows.
    """
    if new.metric is not None:
        return new.metric
    specs = [arm.run.spec for arm in arms]
    if new.plan.folds:
        return "val.loss"
    if not all(spec.dataset.validation_rows for spec in specs):
        return "test.loss"
    judged_apart = new.at == "best" and not (new.epoch_by or "").startswith("test.")
    return "test.loss" if judged_apart and all(spec.evaluate.test == "every_epoch" for spec in specs) else "val.loss"


def baseline_id(requested: str | None, arms: Sequence[Arm]) -> str:
    """Return the id of the arm with the requested name or id; the default is the first arm.

    Raises:
        SpecRefused: No arm has this name or id.
    """
    if requested is None:
        return arms[0].id
    for arm in arms:
        if requested in (arm.id, arm.name):
            return arm.id
    message = f"Unknown baseline {requested!r}. The study has no such arm."
    raise SpecRefused.at("/baseline", "no_such_arm", message, allowed=[arm.id for arm in arms])
