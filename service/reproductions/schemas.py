"""Reproductions as clients see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.reproductions.definition import Claim, Scale, Source
from service.reproductions.judgment import Measured, Verdict
from service.reproductions.rules import AnyRule
from service.reproductions.state import (
    Cost,
    Machine,
    Overview,
    ReproductionState,
    Result,
    ScalePlan,
    Status,
    explanation,
)
from service.statistics.comparison import Verdict as PairVerdict
from service.studies.schemas import StudyProgress
from service.studies.study import Study, StudyStatus


class ScaleView(BaseModel):
    """The runs of a scale, and whether it can be trained and was started."""

    runs: int = Field(description="Runs that are queued at once; equal finished runs are reused.")
    missing: str | None = Field(description="The command that brings a dataset that this server lacks; null if none.")
    started_at: str | None = Field(description="Null if nothing that you can see has been started.")

    @classmethod
    def by_scale(cls, plans: Mapping[Scale, ScalePlan]) -> dict[Scale, ScaleView]:
        """Return the views of all scales."""
        return {
            scale: cls(runs=plan.runs, missing=plan.missing, started_at=timestamp(plan.started_at))
            for scale, plan in plans.items()
        }


class CostView(BaseModel):
    """The cost of a scale; nothing was queued."""

    object: Literal["reproduction_preview"] = "reproduction_preview"
    scale: Scale
    runs: int = Field(description="Runs that would be queued at once.")
    max_runs: int = Field(description="Runs if no study decides early, with the confirmations of tuned studies.")
    reused: int = Field(description="Runs with the result of an equal finished run.")
    estimated_seconds: float = Field(
        description="Time of the other ones of `runs`, one after the other; stacks take less."
    )

    @classmethod
    def of(cls, scale: Scale, cost: Cost) -> CostView:
        """Return the view of a cost."""
        return cls(
            scale=scale,
            runs=cost.runs,
            max_runs=cost.max_runs,
            reused=cost.reused,
            estimated_seconds=cost.seconds,
        )


class FigureView(BaseModel):
    """A figure of this server: an arm's mean, or its paired difference to another arm."""

    arm: str
    against: str | None = Field(description="The arm that was subtracted; null for the mean of one arm.")
    n: int = Field(description="Seeds with a value.")
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(description="Interval of the mean; null below six seeds.")
    p_adjusted: float | None
    verdict: PairVerdict | None = Field(description="The comparison's verdict on the pair; null for one arm.")
    diverged: int = Field(description="Seeds at which the arm diverged.")
    against_diverged: int
    missing: int = Field(description="Seeds with a run that failed, was cancelled or deleted, or has no value.")

    @classmethod
    def of(cls, figure: Measured) -> FigureView:
        """Return the view of a figure."""
        copied = {name: getattr(figure, name) for name in cls.model_fields if name not in ("ci", "p_adjusted")}
        return cls(**copied, ci=figure.interval, p_adjusted=figure.p)


class ResultView(BaseModel):
    """The verdict on a claim from this server's runs."""

    verdict: Verdict
    explanation: str = Field(description="The figures in words, or the reason for the missing verdict.")
    metric: str | None = Field(description="The metric that was compared; null before any comparison.")
    at: str | None
    alpha: float | None = Field(description="The significance level of the comparison.")
    looks: int | None
    generalizes_over: list[str] = Field(description="Sources of variation that replicates differ in.")
    study_id: str | None
    figures: list[FigureView]

    @classmethod
    def of(cls, result: Result) -> ResultView:
        """Return the view of a result."""
        compared = result.compared
        return cls(
            verdict=result.judgment.verdict,
            explanation=explanation(result),
            metric=None if compared is None else compared.metric,
            at=None if compared is None else compared.at,
            alpha=None if compared is None else compared.comparison.alpha,
            looks=None if compared is None else compared.looks,
            generalizes_over=[] if compared is None else list(compared.generalizes_over),
            study_id=None if compared is None else compared.study_id,
            figures=[FigureView.of(figure) for figure in result.judgment.figures],
        )


class ClaimView(BaseModel):
    """A claim of the source, its rule, and once the reproduction has been started its result."""

    name: str = Field(examples=["decay_helps"])
    statement: str
    expected: str = Field(description="The source's figure or direction.")
    place: str = Field(description="Where in the source.")
    rule: AnyRule = Field(description="Fixed before any run.")
    rule_text: str = Field(description="The rule in words.")
    result: ResultView | None = Field(default=None, description="Null before the reproduction has been started.")

    @classmethod
    def of(cls, name: str, claim: Claim, result: Result | None = None) -> ClaimView:
        """Return the view of a claim."""
        return cls(
            name=name,
            **claim.model_dump(include={"statement", "expected", "place"}),
            rule=claim.rule,
            rule_text=claim.rule.sentence,
            result=None if result is None else ResultView.of(result),
        )


class ReproductionSummary(BaseModel):
    """A reproduction: a source, its claims, and what testing them takes."""

    name: str = Field(examples=["krogh1991"])
    object: Literal["reproduction"] = "reproduction"
    title: str
    question: str
    source: Source
    deviations: str = Field(description="How the studies differ from the source's experiments.")
    scales: dict[Scale, ScaleView]
    claims: list[ClaimView]

    @classmethod
    def of(cls, overview: Overview) -> ReproductionSummary:
        """Return the view of a reproduction in the list."""
        definition = overview.definition
        return cls(
            name=overview.name,
            **{name: getattr(definition, name) for name in ("title", "question", "source", "deviations")},
            scales=ScaleView.by_scale(overview.scales),
            claims=[ClaimView.of(name, claim) for name, claim in definition.claims.items()],
        )


class StudyOfReproduction(BaseModel):
    """A study of a reproduction and its progress."""

    name: str
    study_id: str | None = Field(description="Null if the study was not started or was deleted.")
    status: StudyStatus | None
    progress: StudyProgress | None

    @classmethod
    def of(cls, name: str, study: Study | None) -> StudyOfReproduction:
        """Return the view of a study; runs of its confirmation count."""
        if study is None:
            return cls(name=name, study_id=None, status=None, progress=None)
        parts = [study] if study.confirmation is None else [study, study.confirmation]
        counts = {status: 0 for part in parts for status in part.by_status}
        for part in parts:
            for status, count in part.by_status.items():
                counts[status] += count
        progress = StudyProgress(
            runs=sum(counts.values()),
            by_status=counts,
            epoch=sum(part.epoch for part in parts),
            epochs=sum(part.epochs for part in parts),
        )
        return cls(name=name, study_id=study.id, status=study.status, progress=progress)


class MachineView(BaseModel):
    """The runs that one kind of machine trained."""

    class_: str = Field(serialization_alias="class", description="Processor or GPU, libraries and engine.")
    runs: int
    reused: int = Field(description="Runs whose results existed before; they take no time.")
    seconds: float = Field(description="Time that workers spent on the runs; runs of a stack share its time.")

    @classmethod
    def of(cls, machine: Machine) -> MachineView:
        """Return the view of a machine."""
        return cls(class_=machine.determinism_class, runs=machine.runs, reused=machine.reused, seconds=machine.seconds)


class ReproductionView(ReproductionSummary):
    """A reproduction at one scale, with the verdicts so far."""

    scale: Scale
    status: Status
    terminal: bool = Field(description="Whether every study has finished and every claim has been measured.")
    owner: str | None = Field(description="Who started it; null if it has not been started.")
    started_at: str | None
    finished_at: str | None = Field(default=None, description="When the last run ended; null before that.")
    definition_hash: str = Field(
        default="", description="Hash of the studies and claims of this scale; results belong to exactly these."
    )
    studies: list[StudyOfReproduction]
    trained_on: list[MachineView] = Field(default=[], description="The machines that trained the runs so far.")
    verdicts: dict[Verdict, int] = Field(description="Number of claims by verdict.")

    @classmethod
    def of_state(cls, state: ReproductionState) -> ReproductionView:
        """Return the view of a reproduction at one scale."""
        summary = ReproductionSummary.of(state)
        return cls(
            **{name: getattr(summary, name) for name in ReproductionSummary.model_fields if name != "claims"},
            claims=[ClaimView.of(name, claim, state.results.get(name)) for name, claim in state.claims.items()],
            scale=state.scale,
            status=state.status,
            terminal=state.status == "finished",
            owner=state.owner,
            started_at=timestamp(state.started_at),
            finished_at=timestamp(state.finished_at),
            definition_hash=f"sha256:{state.definition.digest(state.scale)}",
            studies=[StudyOfReproduction.of(name, study) for name, study in state.studies.items()],
            trained_on=[MachineView.of(machine) for machine in state.machines],
            verdicts=dict(state.verdicts),
        )


class ReproductionList(BaseModel):
    """All reproductions, by name."""

    object: Literal["list"] = "list"
    data: list[ReproductionSummary]
    has_more: bool = False
    next_cursor: str | None = None

    @classmethod
    def of(cls, overviews: Sequence[Overview]) -> ReproductionList:
        """Return the view of all reproductions."""
        return cls(data=[ReproductionSummary.of(one) for one in overviews])
