"""Runs with their metadata, histories, confusion matrices and events, as services return them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.http.names import Label, Name
from service.runs.ending import Ending, ending_of
from service.runs.states import TERMINAL, Status
from service.store.rows import Row

Labels = Annotated[dict[Label, Name], Field(max_length=64)]


class RunMetadata(BaseModel):
    """The fields that clients set besides the spec; they do not affect the result. Each is also a column."""

    model_config = ConfigDict(frozen=True)

    name: Name | None = Field(default=None, description="For display.", examples=["wide network"])
    labels: Labels = Field(
        default={},
        description="For finding the run again; they do not affect the result.",
        examples=[{"course": "dl", "team": "blue"}],
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Runs with a higher priority are trained first.", examples=[5]
    )
    max_seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Longest training time, without waiting; then the run fails with code time_limit.",
        examples=[600],
    )


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
    baseline: Mapping[str, float | None] | None
    revision: int
    peak_bytes: int | None
    ended: Ending | None
    error_code: str | None
    error_message: str | None
    waiting_reason: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    version: int

    @classmethod
    def of(cls, row: Row, workers: Sequence[Row]) -> Run:
        """Return the run in ``row``; the live ``workers`` explain why a queued run waits."""
        status: Status = row.status
        computed: dict[str, Any] = {
            "terminal": status in TERMINAL,
            "eta_seconds": row.eta_seconds if status == "running" else None,
            "ended": ending_of(row),
            "waiting_reason": _waiting_reason(row, workers),
        }
        names = cls.__dataclass_fields__.keys() - computed.keys()
        columns: dict[str, Any] = dict(zip(row._fields, row, strict=True))
        stored = {name: columns[name] for name in names}
        return cls(**stored, **computed)


def _waiting_reason(row: Row, workers: Sequence[Row]) -> str | None:
    """Return why a waiting or queued run has not started; None for other statuses."""
    if row.status == "waiting":
        teachers = [teacher for part in row.spec["regularizers"] for teacher in part.get("teachers", ())]
        pending = dict.fromkeys(teacher["run_id"] for teacher in teachers if teacher["sha256"] is None)
        reasons = [f"Waiting for its teachers to finish: {', '.join(pending)}."] if pending else []
        if row.waits_for is not None:
            reasons.append(f"Waiting for the run whose weights it starts from: {row.waits_for}.")
        return " ".join(reasons)
    if row.status != "queued":
        return None
    if not workers:
        return "No worker is running. Start one with: fitwell worker (fitwell serve starts its own)."
    if row.device != "auto" and not any(row.device in worker.devices for worker in workers):
        available = sorted({device for worker in workers for device in worker.devices})
        return f"No running worker has the device {row.device!r}; available: {', '.join(available)}."
    return "Other runs are ahead of it in the queue."


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
    """Build a history from ``epochs``, with all series or those in ``metrics``."""
    recorded = [{**e.metrics, "seconds": e.seconds} for e in epochs]
    names = list(dict.fromkeys(name for values in recorded for name in values))
    if metrics is not None:
        names = [name for name in names if name in metrics]
    nonfinite: dict[str, dict[str, str]] = {}
    for e in epochs:
        for name, value in e.nonfinite.items():
            if name in names:
                nonfinite.setdefault(name, {})[str(e.epoch)] = value
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
    """Counts of test rows by true class (row) and predicted class (column), after ``epoch``."""

    run_id: str
    epoch: int
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event of a run; ids are in commit order across all runs."""

    id: int
    type: str
    run_id: str
    owner: str
    """The owner of the run."""
    at: float
    data: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row) -> Event:
        """Return the event in ``row``; an epoch event carries the recorded epoch."""
        data = dict(row.data)
        if row.type == "epoch":
            data = {"epoch": row.epoch, "steps": row.steps, "metrics": row.metrics, "nonfinite": row.nonfinite}
            data["seconds"] = row.seconds
        return cls(id=row.id, type=row.type, run_id=row.run_id, owner=row.owner, at=row.at, data=data)
