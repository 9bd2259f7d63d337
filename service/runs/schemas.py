"""Runs as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.runs.pages import Page
from service.runs.run import Run
from service.runs.states import Status
from service.runs.submission.review import Estimate, estimate, to_train_first
from worker.spec.keys import spec_hash
from worker.spec.models import KINDS
from worker.spec.run import RunSpec


class Device(BaseModel):
    """The requested device, and the one that was used."""

    requested: str
    used: str | None


class StackView(BaseModel):
    """How many runs trained together."""

    size: int


class Determinism(BaseModel):
    """How reproducible the result is, and a digest of all its bits."""

    class_: str | None = Field(serialization_alias="class")
    digest: str | None
    resumes: int


class Progress(BaseModel):
    """The epochs that a run has trained, of those it has to train."""

    epoch: int
    epochs: int
    eta_seconds: float | None
    epoch_name: str = Field(
        default="epoch",
        exclude_if=lambda name: name == "epoch",
        description="The name of an epoch on axes: `k` of nearest neighbors, where epoch k has k neighbors.",
    )


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


class EndedView(BaseModel):
    """Why a run ended."""

    reason: str = Field(
        description="`epochs` if it trained all of them; the kind of the stop rule that ended it, such as "
        "`early_stopping`; else `diverged`, `timed_out`, `failed` (`error` says why) or `cancelled`."
    )
    rule: dict[str, Any] | None = Field(
        description="The stop rule that ended it, as in `spec.stop`, and its `index` there; null if it was none."
    )
    epoch: int = Field(description="The last epoch.")


class RunView(BaseModel):
    """A training run."""

    id: str = Field(examples=["run_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["run"] = "run"
    owner: str = Field(
        description="Only the owner and admins can change the run; `local` if it was created without a token."
    )
    status: Status
    terminal: bool
    name: str | None
    labels: dict[str, str]
    priority: int
    max_seconds: float | None
    spec: dict[str, Any] = Field(description="The resolved spec, with every default.")
    spec_hash: str
    reused_from: str | None
    extends: str | None = Field(description="The run that this one continues.")
    verifies: str | None = Field(description="The run that this one verifies by training it again.")
    study_id: str | None
    arm: str | None
    seed: int
    device: Device
    stack: StackView | None
    determinism: Determinism
    progress: Progress
    best: Best | None
    last: dict[str, float | None]
    baseline: dict[str, float | None] | None = Field(
        default=None,
        description="Metrics of predictions that ignore the inputs, by their names: class frequencies or mean of the "
        "training rows; `…_last_value` for rows in order of time. Null until training begins, and for "
        "runs of earlier versions.",
    )
    peak_bytes: int | None = Field(
        default=None,
        description="Peak resident memory of the training process while it trained the run with its stack peers, at "
        "its last end. Null before, for runs of earlier versions, and on systems that do not measure it.",
    )
    ended: EndedView | None = Field(
        default=None,
        description="Null until the run has ended, and for runs of earlier versions that one of several stop rules "
        "ended.",
    )
    error: RunError | None
    waiting_reason: str | None
    attempt: int
    created_at: str
    started_at: str | None
    finished_at: str | None

    @classmethod
    def of(cls, run: Run) -> RunView:
        """Return the view of a run."""
        computed: dict[str, Any] = {
            "object": "run",
            "device": Device(requested=run.device, used=run.device_used),
            "stack": StackView(size=run.stack_size) if run.stack_size else None,
            "determinism": Determinism(class_=run.determinism_class, digest=run.digest, resumes=run.resumes),
            "progress": Progress(
                epoch=run.epoch,
                epochs=run.epochs,
                eta_seconds=run.eta_seconds,
                epoch_name=KINDS[run.spec["model"]["kind"]].epoch_name,
            ),
            "best": Best.model_validate(run.best) if run.best else None,
            "ended": EndedView.model_validate(vars(run.ended)) if run.ended else None,
            "error": RunError(code=run.error_code, message=run.error_message or "") if run.error_code else None,
            "created_at": timestamp(run.created_at) or "",
            "started_at": timestamp(run.started_at),
            "finished_at": timestamp(run.finished_at),
        }
        return cls.model_validate({**vars(run), **computed})  # other attributes of the run are ignored

    @classmethod
    def render(cls, run: Run) -> str:
        """Return the run as JSON, for responses that are stored with it."""
        return cls.of(run).model_dump_json(by_alias=True)


class RunList(BaseModel):
    """A page of runs, newest first."""

    object: Literal["list"] = "list"
    data: list[RunView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: Page) -> RunList:
        """Return the view of a page."""
        return cls(data=[RunView.of(run) for run in page.runs], has_more=page.has_more, next_cursor=page.next_cursor)


class LayerView(BaseModel):
    """A layer of a model."""

    name: str = Field(
        description="Prefix of its parameters; empty for a layer of a short form that has none.", examples=["layers.0"]
    )
    kind: str
    output_shape: list[int] = Field(description="Of one row.")
    parameters: int
    flops: int = Field(description="Floating-point operations of one row's forward pass.")


class Validation(BaseModel):
    """The resolved spec and its estimated cost; nothing was queued."""

    object: Literal["validation"] = "validation"
    spec: dict[str, Any]
    spec_hash: str
    parameters: int
    estimated_seconds: float
    estimated_bytes: int
    preceding_runs: int = Field(
        default=0, description="Runs to train first that the spec contains: teachers, and the one of a warm start."
    )
    preceding_seconds: float = Field(default=0.0, description="Their estimated time, one after the other.")
    layers: list[LayerView] = Field(
        default=[], description="The model's layers with the output layer; empty for a model without layers."
    )

    @classmethod
    def of(cls, spec: RunSpec, cost: Estimate) -> Validation:
        """Return the view of a valid spec."""
        first = to_train_first([spec])
        return cls(
            spec=spec.model_dump(mode="json"),
            spec_hash=spec_hash(spec),
            parameters=cost.parameters,
            estimated_seconds=cost.seconds,
            estimated_bytes=cost.bytes,
            preceding_runs=len(first),
            preceding_seconds=sum(estimate(one).seconds for one in first),
            layers=[
                LayerView.model_validate(layer._asdict() | {"output_shape": [*layer.output_shape]})
                for layer in spec.layers
            ],
        )
