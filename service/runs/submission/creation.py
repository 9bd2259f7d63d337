"""How runs come to be: the columns of a new one, or the result of an equal one that has finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from ulid import ULID

from service.callers import Caller
from service.runs.queries import epochs
from service.runs.queries import runs as rows
from service.runs.submission import teachers, warm_starts
from service.runs.submission.quota import check_quota, check_space
from service.runs.submission.review import NewRun, stack_runs
from service.settings import Settings
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.run import keys_of


@dataclass(frozen=True)
class Wanted:
    """A run to be, and where it belongs."""

    new: NewRun
    place: Mapping[str, Any] = field(default_factory=dict)
    """``study_id`` and ``arm``, of a study's run."""


class Made(NamedTuple):
    """A run that is there now, and the finished run whose result it took over."""

    run_id: str
    model: Row | None


Prepared = Sequence[dict[str, Any]]
"""The columns of runs to be."""


def prepared(wanted: Sequence[Wanted], settings: Settings) -> Prepared:
    """Everything about runs to be that takes time and needs no database: others shall not wait for it."""
    return [{**_columns(one.new, settings), **one.place} for one in wanted]


def create(
    connection: sa.Connection, columns: Prepared, settings: Settings, *, reuse: bool, caller: Caller
) -> tuple[list[Made], list[NewEvent]]:
    """Insert runs of ``caller``, queued or with the results of equal ones; appending the events is left to do.

    Raises:
        QuotaExceeded: the owner would have more unfinished runs than it may.
        SpecRefused: these alone are more than that.
        StorageFull: there is something to train, and the disk is nearly full.
    """
    keys = [one["reuse_key"] for one in columns] if reuse else []
    models = rows.finished_equals(connection, keys, owner=caller.reuses_only)
    adding = sum(one["reuse_key"] not in models for one in columns)
    check_quota(connection, caller, adding=adding)
    if adding:
        check_space(settings)
    made, told = [], []
    for one in columns:
        model = models.get(one["reuse_key"])
        run_id = f"run_{ULID()}"
        made.append(Made(run_id, model))
        one |= {"id": run_id, "owner": caller.owner, **_taken_over(model)}
        told += _first_events(connection, run_id, model)
    for reused in (False, True):
        group = [one for one, run in zip(columns, made, strict=True) if (run.model is not None) == reused]
        rows.insert(connection, group, finished=reused)
    for run, one in zip(made, columns, strict=True):
        if run.model is None:
            warm_starts.attach(connection, run.run_id, one["spec"])
            teachers.attach(connection, run.run_id, one["spec"])
    return made, told


def _columns(new: NewRun, settings: Settings) -> dict[str, Any]:
    spec = new.spec
    return {
        "status": "waiting" if teachers.waits(spec) else "queued",
        "name": new.name,
        "labels": dict(new.labels),
        "priority": new.priority,
        "max_seconds": new.max_seconds,
        "spec": spec.model_dump(mode="json"),
        **keys_of(spec)._asdict(),
        "stack_runs": stack_runs(spec, settings),
        "seed": spec.seed,
        "device": spec.device,
        "epochs": spec.epochs,
        "last": {},
    }


def _taken_over(model: Row | None) -> dict[str, Any]:
    """The columns of a run that takes over the result of ``model``."""
    if model is None:
        return {}
    names = (
        "status", "device_used", "stack_size", "determinism_class", "digest", "epoch", "best", "revision",
        "error_code", "error_message",
    )  # fmt: skip
    taken = {name: getattr(model, name) for name in names}
    return {**taken, "last": model.last, "reused_from": model.id}


def _first_events(connection: sa.Connection, run_id: str, model: Row | None) -> list[NewEvent]:
    """A reused run tells all that a trained one would have told."""
    created = [NewEvent(run_id, "run.created")]
    if model is None:
        return created
    told = [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, model.id)]
    return [*created, *told, NewEvent(run_id, f"run.{model.status}", {"reused_from": model.id})]
