"""A study to create, and the defaults of its metric and baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import SpecRefused
from service.studies.expansion import Arm, Plan
from service.studies.study import StudyMetadata


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """A study to create."""

    metadata: StudyMetadata
    request: Mapping[str, Any]
    """The request body, so that the study can be repeated."""
    plan: Plan
    metric: str | None
    at: str
    baseline: str | None


def primary_metric(new: NewStudy, arms: Sequence[Arm]) -> str:
    """Return the requested primary metric; the default is val.loss, or test.loss if an arm holds out no rows."""
    if new.metric is not None:
        return new.metric
    held_out = new.plan.folds or all(arm.run.spec.dataset.validation_rows for arm in arms)
    return "val.loss" if held_out else "test.loss"


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
