"""Inserting runs: queued, or with the result of an equal finished run."""

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
from service.runs.submission.new_run import NewRun
from service.runs.submission.quota import check_quota, check_space
from service.runs.submission.review import stack_runs
from service.settings import Settings
from service.store.events import NewEvent
from service.store.rows import Row
from worker.spec.keys import keys_of


@dataclass(frozen=True)
class PlannedRun:
    """A run to create, and the columns that relate it to others: ``study_id`` and ``arm``, or ``verifies``.

    A run that others of the request wait for has its ``id`` among them.
    """

    new: NewRun
    relations: Mapping[str, Any] = field(default_factory=dict)


class CreatedRun(NamedTuple):
    """A created run, and the finished run whose result it reuses."""

    run_id: str
    source: Row | None


NewRows = Sequence[dict[str, Any]]
"""The columns of runs to insert."""


def new_id() -> str:
    """Return the id of a new run."""
    return f"run_{ULID()}"


def build_rows(planned: Sequence[PlannedRun], settings: Settings) -> NewRows:
    """Return the columns of new runs. This is slow and needs no database, so call it outside a transaction."""
    return [{**_columns(one.new, settings), **one.relations} for one in planned]


def create(
    connection: sa.Connection, columns: NewRows, settings: Settings, *, reuse: bool, caller: Caller, beside: int = 0
) -> tuple[list[CreatedRun], list[NewEvent]]:
    """Insert runs of ``caller`` and return them with their events, which the caller of this function appends.

    ``beside`` is the number of runs that the same request has created before, to train first.

    Raises:
        QuotaExceeded: The owner has too many unfinished runs.
        SpecRefused: These runs alone exceed the quota.
        StorageFull: A run is to be trained, and the disk is nearly full.
    """
    keys = [row["reuse_key"] for row in columns] if reuse else []
    sources = rows.finished_equals(connection, keys, owner=caller.reuses_only)
    adding = sum(row["reuse_key"] not in sources for row in columns)
    check_quota(connection, caller, adding=adding, beside=beside)
    if adding:
        check_space(settings)
    created, events = [], []
    for row in columns:
        source = sources.get(row["reuse_key"])
        run_id = row.get("id") or new_id()
        created.append(CreatedRun(run_id, source))
        row |= {"id": run_id, "owner": caller.owner, **_result_of(source)}
        events += _first_events(connection, run_id, source)
    for reused in (False, True):
        group = [row for row, run in zip(columns, created, strict=True) if (run.source is not None) == reused]
        rows.insert(connection, group, finished=reused)
    for run, row in zip(created, columns, strict=True):
        if run.source is None:
            warm_starts.attach(connection, run.run_id, row["spec"])
            teachers.attach(connection, run.run_id, row["spec"])
    return created, events


def _columns(new: NewRun, settings: Settings) -> dict[str, Any]:
    spec, start = new.spec, new.spec.warm_start
    pending = warm_starts.is_pending(spec)
    return {
        "status": "waiting" if pending or teachers.has_pending(spec) else "queued",
        "waits_for": start.run_id if start is not None and pending else None,
        **new.metadata.model_dump(),
        "spec": spec.model_dump(mode="json"),
        **keys_of(spec)._asdict(),
        "stack_runs": stack_runs(spec, settings),
        "seed": spec.seed,
        "device": spec.device,
        "epochs": spec.epochs,
        "last": {},
    }


def _result_of(source: Row | None) -> dict[str, Any]:
    """Return the columns that a run copies from the run whose result it reuses."""
    if source is None:
        return {}
    names = (
        "status", "device_used", "stack_size", "determinism_class", "digest", "epoch", "best", "baseline", "revision",
        "stop_rule", "peak_bytes", "error_code", "error_message",
    )  # fmt: skip
    result = {name: getattr(source, name) for name in names}
    return {**result, "last": source.last, "reused_from": source.id}


def _first_events(connection: sa.Connection, run_id: str, source: Row | None) -> list[NewEvent]:
    """Return the first events of a run; a reused run repeats all epochs."""
    created = [NewEvent(run_id, "run.created")]
    if source is None:
        return created
    repeated = [NewEvent(run_id, "epoch", epoch=e.epoch) for e in epochs.of_run(connection, source.id)]
    return [*created, *repeated, NewEvent(run_id, f"run.{source.status}", {"reused_from": source.id})]
