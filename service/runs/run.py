"""A run as its clients see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.runs.states import TERMINAL, Status
from service.store.rows import Row


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run. Times are seconds since the epoch; metrics that are not finite are None."""

    id: str
    owner: str
    status: Status
    terminal: bool
    name: str | None
    labels: Mapping[str, str]
    priority: int
    max_seconds: float | None
    spec: Mapping[str, Any]
    spec_hash: str
    reused_from: str | None
    extends: str | None
    verifies: str | None
    study_id: str | None
    arm: str | None
    seed: int
    device: str
    device_used: str | None
    stack_size: int | None
    determinism_class: str | None
    digest: str | None
    resumes: int
    attempt: int
    epoch: int
    epochs: int
    eta_seconds: float | None
    best: Mapping[str, Any] | None
    last: Mapping[str, float | None]
    revision: int
    error_code: str | None
    error_message: str | None
    waiting_reason: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    version: int

    @classmethod
    def of(cls, row: Row, workers: Sequence[Row]) -> Run:
        """The run in ``row``, given the workers that are alive."""
        status: Status = row.status
        computed: dict[str, Any] = {
            "terminal": status in TERMINAL,
            "eta_seconds": row.eta_seconds if status == "running" else None,
            "waiting_reason": _waiting_reason(row, workers),
        }
        names = cls.__dataclass_fields__.keys() - computed.keys()
        columns: dict[str, Any] = dict(zip(row._fields, row, strict=True))
        stored = {name: columns[name] for name in names}
        return cls(**stored, **computed)


def _waiting_reason(row: Row, workers: Sequence[Row]) -> str | None:
    """Why a run that is waiting or queued does not start."""
    if row.status == "waiting":
        listed = [teacher for part in row.spec["regularizers"] for teacher in part.get("teachers", ())]
        named = dict.fromkeys(teacher["run_id"] for teacher in listed if teacher["sha256"] is None)
        return f"It waits for its teachers to be trained: {', '.join(named)}."
    if row.status != "queued":
        return None
    if not workers:
        return "No worker is alive; start one with: fitwell worker (fitwell serve brings its own)."
    if row.device != "auto" and not any(row.device in worker.devices for worker in workers):
        known = sorted({device for worker in workers for device in worker.devices})
        return f"No worker that is alive has the device {row.device!r}; there is {', '.join(known)}."
    return "Other runs are before it."


@dataclass(frozen=True, kw_only=True)
class History:
    """The recorded epochs of a run, in order; series are parallel to ``epoch``."""

    run_id: str
    version: int
    complete: bool
    revision: int
    downsampled: bool = False
    epoch: Sequence[int]
    steps: Sequence[int]
    series: Mapping[str, Sequence[float | None]]
    nonfinite: Mapping[str, Mapping[str, str]]


def history_of(row: Row, epochs: Sequence[Row], metrics: Sequence[str] | None) -> History:
    """The history in ``epochs``; all series, or those named in ``metrics``."""
    recorded = [{**e.metrics, "seconds": e.seconds} for e in epochs]
    names = list(dict.fromkeys(name for values in recorded for name in values))
    if metrics is not None:
        names = [name for name in names if name in metrics]
    nonfinite: dict[str, dict[str, str]] = {}
    for e in epochs:
        for name, what in e.nonfinite.items():
            if name in names:
                nonfinite.setdefault(name, {})[str(e.epoch)] = what
    return History(
        run_id=row.id,
        version=row.version,
        complete=row.status in TERMINAL,
        revision=row.revision,
        epoch=[e.epoch for e in epochs],
        steps=[e.steps for e in epochs],
        series={name: [values.get(name) for values in recorded] for name in names},
        nonfinite=nonfinite,
    )


@dataclass(frozen=True)
class Confusion:
    """How often test rows of each true class (row) were given each class (column), after ``epoch``."""

    run_id: str
    epoch: int
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a run; ``id`` orders all events."""

    id: int
    type: str
    run_id: str
    owner: str
    """Whose run it is."""
    at: float
    data: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row) -> Event:
        """The event in ``row``; an epoch brings what is recorded of it."""
        data = dict(row.data)
        if row.type == "epoch":
            data = {"epoch": row.epoch, "steps": row.steps, "metrics": row.metrics, "nonfinite": row.nonfinite}
            data["seconds"] = row.seconds
        return cls(id=row.id, type=row.type, run_id=row.run_id, owner=row.owner, at=row.at, data=data)
