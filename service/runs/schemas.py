"""What clients see: the shapes of the answers, names fixed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.runs.pages import Page
from service.runs.run import Event, Run
from service.runs.states import Status
from service.runs.submission.review import Estimate
from service.store.rows import Row
from worker.spec.run import RunSpec, spec_hash


def timestamp(seconds: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and a Z."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Device(BaseModel):
    """Where a run was to be trained, and where it was."""

    requested: str
    used: str | None


class StackView(BaseModel):
    """How many runs trained together."""

    size: int


class Determinism(BaseModel):
    """What is promised of the bits, and a name for all of them."""

    class_: str | None = Field(serialization_alias="class")
    digest: str | None
    resumes: int


class Progress(BaseModel):
    """How far a run has come."""

    epoch: int
    epochs: int
    eta_seconds: float | None


class Best(BaseModel):
    """The epoch with the lowest val.loss; without a validation split the lowest test.loss, which is optimistic."""

    epoch: int
    metric: str
    value: float
    selected_on: Literal["val", "test"]
    optimistic: bool


class RunError(BaseModel):
    """Why a run failed."""

    code: str
    message: str


class RunView(BaseModel):
    """A training run."""

    id: str = Field(examples=["run_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["run"] = "run"
    owner: str = Field(description="Who alone changes it, admins aside; `local` where it was made without a token.")
    status: Status
    terminal: bool
    name: str | None
    labels: dict[str, str]
    priority: int
    max_seconds: float | None
    spec: dict[str, Any] = Field(description="Resolved: with every default.")
    spec_hash: str
    reused_from: str | None
    extends: str | None = Field(description="The run from whose end this one went on.")
    verifies: str | None = Field(description="The run that this one trains once more.")
    study_id: str | None
    arm: str | None
    seed: int
    device: Device
    stack: StackView | None
    determinism: Determinism
    progress: Progress
    best: Best | None
    last: dict[str, float | None]
    error: RunError | None
    waiting_reason: str | None
    attempt: int
    created_at: str
    started_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, run: Run) -> RunView:
        """The run as it is shown."""
        error = RunError(code=run.error_code, message=run.error_message or "") if run.error_code else None
        same = (
            *("id", "owner", "status", "terminal", "name", "labels", "priority", "max_seconds", "spec", "spec_hash"),
            *("reused_from", "extends", "verifies", "study_id", "arm", "seed", "last", "waiting_reason", "attempt"),
        )
        return cls(
            **{name: getattr(run, name) for name in same},
            device=Device(requested=run.device, used=run.device_used),
            stack=StackView(size=run.stack_size) if run.stack_size else None,
            determinism=Determinism(class_=run.determinism_class, digest=run.digest, resumes=run.resumes),
            progress=Progress(epoch=run.epoch, epochs=run.epochs, eta_seconds=run.eta_seconds),
            best=Best.model_validate(run.best) if run.best else None,
            error=error,
            created_at=timestamp(run.created_at) or "",
            started_at=timestamp(run.started_at),
            finished_at=timestamp(run.finished_at),
        )

    def json_text(self) -> str:
        """The JSON that goes on the wire."""
        return self.model_dump_json(by_alias=True)


class RunList(BaseModel):
    """A page of runs, newest first."""

    object: Literal["list"] = "list"
    data: list[RunView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: Page) -> RunList:
        """The page as it is shown."""
        return cls(data=[RunView.of(run) for run in page.runs], has_more=page.has_more, next_cursor=page.next_cursor)


class Validation(BaseModel):
    """What a spec would become, and what it would cost; nothing was queued."""

    object: Literal["validation"] = "validation"
    spec: dict[str, Any]
    spec_hash: str
    parameters: int
    estimated_seconds: float
    estimated_bytes: int

    @classmethod
    def of(cls, spec: RunSpec, cost: Estimate) -> Validation:
        """The verdict on ``spec``."""
        return cls(
            spec=spec.model_dump(mode="json"),
            spec_hash=spec_hash(spec),
            parameters=cost.parameters,
            estimated_seconds=cost.seconds,
            estimated_bytes=cost.bytes,
        )


class EventView(BaseModel):
    """Something that happened to a run."""

    id: int
    object: Literal["event"] = "event"
    type: str = Field(examples=["run.created", "epoch", "run.succeeded"])
    run_id: str
    at: str
    data: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> EventView:
        """The event as it is shown."""
        return cls(
            id=event.id, type=event.type, run_id=event.run_id, at=timestamp(event.at) or "", data=dict(event.data)
        )


class EventList(BaseModel):
    """A page of events, oldest first."""

    object: Literal["list"] = "list"
    data: list[EventView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for what follows; also SSE's Last-Event-ID.")


class WorkerView(BaseModel):
    """A worker that is alive."""

    id: str
    object: Literal["worker"] = "worker"
    host: str
    pid: int
    devices: list[str]
    details: dict[str, Any]
    started_at: str
    seen_at: str

    @classmethod
    def of(cls, row: Row) -> WorkerView:
        """The worker as it is shown."""
        times = {"started_at": timestamp(row.started_at) or "", "seen_at": timestamp(row.seen_at) or ""}
        return cls(id=row.id, host=row.host, pid=row.pid, devices=row.devices, details=row.details, **times)


class WorkerList(BaseModel):
    """The workers that are alive."""

    object: Literal["list"] = "list"
    data: list[WorkerView]
    has_more: bool = False
    next_cursor: str | None = None
