"""Why runs ended: from their status, their error, and the stop rule that their worker reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.runs.states import TERMINAL
from service.store.rows import Row
from worker.spec.run import RunSpec

REASONS_OF_ERRORS = {"diverged": "diverged", "time_limit": "timed_out"}


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a run ended after ``epoch``."""

    reason: str
    """``epochs``, the kind of a stop rule, ``diverged``, ``timed_out``, ``failed`` or ``cancelled``."""
    epoch: int
    rule: Mapping[str, Any] | None = None
    """The stop rule that ended the run, with its ``index`` in the spec; None if it was none of them."""


def ending_of(row: Row) -> Ending | None:
    """Return why the run in ``row`` ended.

    None if it has not ended, or an earlier version trained it and more than one of its stop rules may have ended it.
    """
    if row.status not in TERMINAL:
        return None
    if row.status == "cancelled":
        return Ending(reason="cancelled", epoch=row.epoch)
    if row.status == "failed":
        return Ending(reason=REASONS_OF_ERRORS.get(row.error_code, "failed"), epoch=row.epoch)
    rules = row.spec["stop"]
    index = row.stop_rule if row.stop_rule is not None else _deduced_rule(row)
    if index is not None:
        rule = rules[index]
        return Ending(reason=rule["kind"], epoch=row.epoch, rule={"index": index, **rule})
    return Ending(reason="epochs", epoch=row.epoch) if row.epoch >= row.epochs else None


def _deduced_rule(row: Row) -> int | None:
    """Return the index of the stop rule that must have ended a run whose worker reported none; else None."""
    rules = row.spec["stop"]
    if row.epoch < row.epochs:
        return 0 if len(rules) == 1 else None
    if not any(rule["kind"] == "max_steps" for rule in rules):
        return None
    spec = RunSpec.of(row.spec)  # a limit may lie within the last epoch, with which the run ended in any case
    limits = {limit: i for i, rule in reversed([*enumerate(spec.stop)]) if (limit := rule.step_limit()) is not None}
    smallest = min(limits)
    return limits[smallest] if smallest < spec.epochs * spec.steps_per_epoch else None
