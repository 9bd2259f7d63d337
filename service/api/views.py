"""What clients see: the shapes of the answers, names fixed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.runs.advice import Advice
from service.runs.pages import Page
from service.runs.run import Confusion, Event, History, Run
from service.runs.states import Status
from service.runs.submission import Estimate
from service.statistics.diagnosis import THRESHOLDS, VERSION, Verdict
from service.store.runs import Row
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
    status: Status
    terminal: bool
    name: str | None
    labels: dict[str, str]
    priority: int
    spec: dict[str, Any] = Field(description="Resolved: with every default.")
    spec_hash: str
    reused_from: str | None
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
            "id",
            "status",
            "terminal",
            "name",
            "labels",
            "priority",
            "spec",
            "spec_hash",
            "reused_from",
            "study_id",
        )
        same += ("arm", "seed", "last", "waiting_reason", "attempt")  # type: ignore[assignment]
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


class HistoryView(BaseModel):
    """The losses of every epoch; series are parallel to `epoch`."""

    object: Literal["history"] = "history"
    run_id: str
    complete: bool
    downsampled: bool = Field(description="Whether epochs were left out, as `max_points` asked.")
    epoch: list[int]
    steps: list[int] = Field(description="Optimizer steps in each epoch; fewer where the run was stopped inside it.")
    revision: int = Field(description="Raised when epochs were replaced by those of another machine.")
    series: dict[str, list[float | None]]
    nonfinite: dict[str, dict[str, str]] = Field(
        description="Values that JSON cannot hold: by series and epoch.", examples=[{"val.loss": {"2": "nan"}}]
    )

    @classmethod
    def of(cls, history: History) -> HistoryView:
        """The history as it is shown."""
        return cls.model_validate(history, from_attributes=True)


class HistoryList(BaseModel):
    """The histories of several runs."""

    object: Literal["list"] = "list"
    data: list[HistoryView]


class ClassView(BaseModel):
    """One class as the model sees it; a share of nothing is null."""

    name: str
    rows: int = Field(description="Test rows of this class.")
    predicted: int = Field(description="Test rows that were given this class.")
    recall: float | None = Field(description="Share of `rows` that were given this class.")
    precision: float | None = Field(description="Share of `predicted` that are of this class.")


class ConfusionView(BaseModel):
    """How often test rows of each true class were given each class, by the model after its last epoch."""

    object: Literal["confusion"] = "confusion"
    run_id: str
    split: Literal["test"] = "test"
    epoch: int
    classes: list[ClassView]
    counts: list[list[int]] = Field(description="Rows: the true class; columns: the class that was given.")

    @classmethod
    def of(cls, confusion: Confusion) -> ConfusionView:
        """The matrix as it is shown."""
        counts = [list(row) for row in confusion.counts]
        classes = []
        for i, name in enumerate(confusion.classes):
            hits, rows, predicted = counts[i][i], sum(counts[i]), sum(row[i] for row in counts)
            shares = {"recall": hits / rows if rows else None, "precision": hits / predicted if predicted else None}
            classes.append(ClassView(name=name, rows=rows, predicted=predicted, **shares))
        return cls(run_id=confusion.run_id, epoch=confusion.epoch, classes=classes, counts=counts)


class Histogram(BaseModel):
    """Bins of equal width from low to high."""

    low: float
    high: float
    counts: list[int]


class ParameterView(BaseModel):
    """One weight matrix, kernel or bias."""

    name: str = Field(examples=["layers.0.weight"])
    shape: list[int]
    zeros: float = Field(description="Share of values that are exactly zero.")
    nonfinite: int = Field(description="Values that are not finite; where there are any, the rest is null.")
    norm: float | None
    mean: float | None
    std: float | None
    histogram: Histogram | None


class WeightsView(BaseModel):
    """A model's parameters after its last epoch."""

    object: Literal["weights"] = "weights"
    run_id: str
    epoch: int
    parameters: list[ParameterView]


class DiagnosisView(BaseModel):
    """What a run's curves say, and what to try next."""

    object: Literal["diagnosis"] = "diagnosis"
    run_id: str
    verdict: Verdict
    explanation: str = Field(description="One plain sentence or two.")
    best_epoch: int | None
    onset_epoch: int | None = Field(description="From here on the smoothed loss is above its lowest for good.")
    gap_at_best: float | None = Field(description="Held-out loss less training loss, at the best epoch.")
    regret: float | None = Field(description="Smoothed held-out loss at the end, less its lowest.")
    threshold: float | None = Field(description="How much regret noise and small changes account for.")
    train_metric: str | None
    metric: str | None = Field(description="The held-out loss.")
    optimistic: bool = Field(description="Whether the verdict looks at the test set.")
    complete: bool
    reference: str | None
    suggested_patch: dict[str, Any] | None = Field(description="A merge patch of the spec.")
    suggested_spec: dict[str, Any] | None = Field(description="The spec with the patch; it can be posted as it is.")
    thresholds: dict[str, float]
    version: int = Field(description="Of the rules and thresholds.")

    @classmethod
    def of(cls, advice: Advice) -> DiagnosisView:
        """The diagnosis as it is shown."""
        found = advice.diagnosis
        same = ("verdict", "best_epoch", "onset_epoch", "gap_at_best", "regret", "threshold")
        step = f" To try next: {advice.step}." if advice.patch else f" Nothing is suggested, since {advice.step}."
        return cls(
            **{name: getattr(found, name) for name in same},
            **{name: getattr(advice, name) for name in ("run_id", "train_metric", "metric", "optimistic", "complete")},
            explanation=found.reason + (step if advice.step else ""),
            reference=advice.reference,
            suggested_patch=None if advice.patch is None else dict(advice.patch),
            suggested_spec=None if advice.spec is None else dict(advice.spec),
            thresholds=THRESHOLDS.told(),
            version=VERSION,
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
