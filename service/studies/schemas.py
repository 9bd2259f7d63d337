"""Studies as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.runs.states import Status
from service.studies.looks import ALPHA
from service.studies.preview import Preview
from service.studies.service import StudyPage
from service.studies.study import Study, StudyStatus
from service.studies.tuning_schemas import TuneView


class ArmView(BaseModel):
    """One arm of a study, with its grid values."""

    id: str = Field(examples=["dropout [optimizer.lr=0.1]"])
    name: str
    values: dict[str, Any] = Field(description="Values by path of the grid.")
    runs: int
    by_status: dict[Status, int]
    decided_at: int | None = Field(
        default=None, description="Number of seeds with which a sequential study decided the arm; it gets no more."
    )


class ScheduleView(BaseModel):
    """The seeds of a sequential study."""

    max: int
    first: int
    step: int
    start: int
    vary: list[str]
    next_look: int | None = Field(description="Number of seeds at the next look; null once the study has ended.")
    stop_reason: str | None = Field(description="Why the study ended with undecided arms and seeds left.")


class StudyProgress(BaseModel):
    """Progress of a study's runs."""

    runs: int
    by_status: dict[Status, int]
    epoch: int = Field(description="Recorded epochs of all runs together.")
    epochs: int


class StudyView(BaseModel):
    """A study: arms × datasets × grid × folds × seeds."""

    id: str = Field(examples=["study_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["study"] = "study"
    owner: str = Field(description="Who may change the study, besides admins; its runs have the same owner.")
    name: str | None
    status: StudyStatus
    terminal: bool
    metric: str = Field(description="The metric that the study was created to compare; any other is exploratory.")
    at: str
    epoch_by: str | None = Field(default=None, description="The metric that was requested to choose the best epoch.")
    baseline: str
    alpha: float = Field(description="The significance level of the whole study, over all looks.")
    looks: int = Field(
        description="Increases when seeds are added after results were visible, and starts at one more than that of "
        "earlier studies with some of the same runs; splits alpha."
    )
    looks_from: list[str] = Field(
        default=[], description="Earlier studies with some of the same runs, whose looks count."
    )
    seeds: list[int]
    datasets: list[str] = Field(
        default=[],
        description="Names of the datasets that every arm is trained on; empty if the base has the only one.",
    )
    replicates: dict[str, Any] | None = Field(
        default=None, description="The requested replicates; null if the study has seeds instead."
    )
    splits: list[int] | None = Field(
        default=None,
        description="Values of split_seed: of the seeds one by one, or all of them of every seed. "
        "Null if the split does not vary.",
    )
    folds: int | None = Field(
        description="Folds that every arm is trained on for each seed; null if rows are held out instead."
    )
    arms: list[ArmView]
    progress: StudyProgress
    sequential: ScheduleView | None = Field(default=None, description="Null if the seeds are fixed.")
    tune: TuneView | None = Field(default=None, description="Null unless the study tunes its arms.")
    confirms: str | None = Field(default=None, description="The tuned study whose choice this one confirms.")
    warnings: list[str] = Field(default=[], description="Why the study cannot decide anything; empty if it can.")
    request: dict[str, Any] = Field(description="The posted body.")
    created_at: str
    finished_at: str | None

    @classmethod
    def of(cls, study: Study) -> StudyView:
        """Return the view of a study."""
        arms = [
            ArmView(
                id=arm.id,
                name=arm.name,
                values=dict(arm.values),
                runs=arm.runs,
                by_status=dict(arm.by_status),
                decided_at=arm.decided_at,
            )
            for arm in study.arms
        ]
        schedule = study.schedule
        progress = StudyProgress(
            runs=sum(arm.runs for arm in arms), by_status=study.by_status, epoch=study.epoch, epochs=study.epochs
        )
        computed: dict[str, Any] = {
            "object": "study",
            "terminal": study.status == "finished",
            "alpha": ALPHA,
            "arms": arms,
            "progress": progress,
            "sequential": None
            if schedule is None
            else ScheduleView(**schedule.model_dump(), next_look=study.next_look, stop_reason=study.stop_reason),
            "tune": None if study.tune is None else TuneView.of(study, study.tune),
            "created_at": timestamp(study.created_at) or "",
            "finished_at": timestamp(study.finished_at),
        }
        copied = {name: getattr(study, name) for name in cls.model_fields if name not in computed}
        return cls(**copied, **computed)

    @classmethod
    def render(cls, study: Study) -> str:
        """Return the study as JSON, for responses that are stored with it."""
        return cls.of(study).model_dump_json()


class StudyList(BaseModel):
    """A page of studies, newest first."""

    object: Literal["list"] = "list"
    data: list[StudyView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: StudyPage) -> StudyList:
        """Return the view of a page."""
        data = [StudyView.of(study) for study in page.studies]
        return cls(data=data, has_more=page.has_more, next_cursor=page.next_cursor)


class PreviewView(BaseModel):
    """The cost of a study, and whether it can decide anything; nothing was queued."""

    object: Literal["study_preview"] = "study_preview"
    runs: int = Field(description="Runs that would be queued at once.")
    max_runs: int = Field(
        default=0,
        description="Runs of a sequential study that decides nothing early, or of a tuned one "
        "with its confirmation; else `runs`.",
    )
    reused: int = Field(description="Runs with the result of an equal finished run.")
    stacks: int = Field(description="Stacks that the other runs can train in.")
    arms: list[str]
    seeds: list[int]
    splits: list[int] | None = Field(default=None, description="As in the study.")
    folds: int | None
    estimated_seconds: float = Field(description="Time of all runs one after the other; stacks take less.")
    estimated_bytes: int = Field(description="Memory of the largest run.")
    preceding_runs: int = Field(
        default=0,
        description="Runs to train first, besides `runs`: teachers, and those of warm starts; at most so many.",
    )
    preceding_seconds: float = Field(default=0.0, description="Time of these runs one after the other.")
    alpha: float
    looks: int = Field(
        default=1, description="As in a study: 1, or more if earlier studies have some of the same runs; splits alpha."
    )
    looks_from: list[str] = Field(default=[], description="Those studies.")
    min_seeds_possible: int = Field(description="The fewest seeds with which a difference can be significant.")
    warnings: list[str]

    @classmethod
    def of(cls, preview: Preview) -> PreviewView:
        """Return the view of a preview."""
        return cls(
            runs=preview.runs,
            max_runs=preview.max_runs,
            reused=preview.reused,
            stacks=preview.stacks,
            arms=list(preview.arms),
            seeds=list(preview.seeds),
            splits=None if preview.splits is None else list(preview.splits),
            folds=preview.folds,
            estimated_seconds=preview.seconds,
            estimated_bytes=preview.bytes,
            preceding_runs=preview.preceding_runs,
            preceding_seconds=preview.preceding_seconds,
            alpha=ALPHA,
            looks=preview.looks,
            looks_from=list(preview.looks_from),
            min_seeds_possible=preview.min_seeds,
            warnings=list(preview.warnings),
        )
