"""Studies and comparisons as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.runs.states import Status
from service.statistics import comparison as comparing
from service.statistics import curves
from service.studies.comparison import ALPHA, Compared
from service.studies.service import StudyPage
from service.studies.study import Preview, Study, StudyStatus


class ArmView(BaseModel):
    """One arm of a study, with its grid values."""

    id: str = Field(examples=["dropout [optimizer.lr=0.1]"])
    name: str
    values: dict[str, Any] = Field(description="By path of the grid.")
    runs: int
    by_status: dict[Status, int]


class StudyProgress(BaseModel):
    """How far a study has come."""

    runs: int
    by_status: dict[Status, int]
    epoch: int = Field(description="Epochs recorded, of all runs together.")
    epochs: int


class StudyView(BaseModel):
    """A study: arms × grid × folds × seeds."""

    id: str = Field(examples=["study_01JD3Z6K8Q4V5W7X9Y2B4C6D8E"])
    object: Literal["study"] = "study"
    owner: str = Field(description="Who alone changes it, admins aside; its runs are of the same owner.")
    name: str | None
    status: StudyStatus
    terminal: bool
    metric: str = Field(description="What the study was made to compare; anything else is exploratory.")
    at: str
    baseline: str
    alpha: float = Field(description="The level of the whole study, over all looks.")
    looks: int = Field(description="Raised when seeds are added after results could be seen; splits alpha.")
    seeds: list[int]
    folds: int | None = Field(
        description="How many times every arm is trained at each seed; null where rows are held out."
    )
    arms: list[ArmView]
    progress: StudyProgress
    request: dict[str, Any] = Field(description="The body as it was posted.")
    created_at: str
    finished_at: str | None

    @classmethod
    def of(cls, study: Study) -> StudyView:
        """The study as it is shown."""
        arms = [
            ArmView(id=arm.id, name=arm.name, values=dict(arm.values), runs=arm.runs, by_status=dict(arm.by_status))
            for arm in study.arms
        ]
        progress = StudyProgress(
            runs=sum(arm.runs for arm in arms), by_status=study.by_status, epoch=study.epoch, epochs=study.epochs
        )
        same = ("id", "owner", "name", "status", "metric", "at", "baseline", "looks", "folds")
        return cls(
            **{name: getattr(study, name) for name in same},
            terminal=study.status == "finished",
            alpha=ALPHA,
            seeds=list(study.seeds),
            arms=arms,
            progress=progress,
            request=dict(study.request),
            created_at=timestamp(study.created_at) or "",
            finished_at=timestamp(study.finished_at),
        )

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
        """The page as it is shown."""
        listed = [StudyView.of(study) for study in page.studies]
        return cls(data=listed, has_more=page.has_more, next_cursor=page.next_cursor)


class PreviewView(BaseModel):
    """What a study would cost, and whether it could decide anything; nothing was queued."""

    object: Literal["study_preview"] = "study_preview"
    runs: int
    reused: int = Field(description="Runs of which an equal one has finished.")
    stacks: int = Field(description="In how many stacks the others could train.")
    arms: list[str]
    seeds: list[int]
    folds: int | None
    estimated_seconds: float = Field(description="Of all runs one after the other; stacks take less.")
    estimated_bytes: int = Field(description="Of the largest run.")
    alpha: float
    min_seeds_possible: int = Field(description="The fewest seeds with which a difference can be significant at all.")
    warnings: list[str]

    @classmethod
    def of(cls, preview: Preview) -> PreviewView:
        """The preview as it is shown."""
        return cls(
            runs=preview.runs,
            reused=preview.reused,
            stacks=preview.stacks,
            arms=list(preview.arms),
            seeds=list(preview.seeds),
            folds=preview.folds,
            estimated_seconds=preview.seconds,
            estimated_bytes=preview.bytes,
            alpha=ALPHA,
            min_seeds_possible=preview.min_seeds,
            warnings=list(preview.warnings),
        )


class FoldsView(BaseModel):
    """The folds that a seed's value is the mean of."""

    n: int
    sd_within: float | None = Field(description="Standard deviation of the folds within a seed, pooled over the seeds.")


class GroupView(BaseModel):
    """A group over its seeds."""

    id: str
    n: int = Field(description="Seeds of which all runs, on every fold, are measured.")
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(description="By inverting the sign-flip test; null below six seeds.")
    diverged: int
    unfinished: int
    missing: int = Field(description="Seeds of which a run failed, was cancelled or deleted, or has no value there.")
    folds: FoldsView | None = Field(description="Where arms are compared on folds: exploratory, no test rests on it.")

    @classmethod
    def of(cls, group: comparing.Summary, folds: int | None) -> GroupView:
        """The group as it is shown."""
        same = ("id", "n", "mean", "std", "diverged", "unfinished", "missing")
        spread = None if folds is None else FoldsView(n=folds, sd_within=group.std_within)
        return cls(**{name: getattr(group, name) for name in same}, ci=group.interval, folds=spread)


class Difference(BaseModel):
    """One seed's difference."""

    seed: int
    difference: float


class PairView(BaseModel):
    """A group against another, seed by seed; differences are the group's value less the baseline's."""

    arm: str
    baseline: str
    n: int = Field(description="Seeds at which both were measured; means and intervals are over these.")
    mean_difference: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(description="Of the mean difference; null below six pairs.")
    ci_method: Literal["inverted sign-flip test, unadjusted"] = "inverted sign-flip test, unadjusted"
    bootstrap_ci: tuple[float, float] | None = Field(description="BCa; where asked for, from 20 pairs on.")
    test: Literal["sign_flip_exact", "sign_flip_random", "sign", "none"] = Field(
        description="`sign` where a run diverged: it counts as a loss."
    )
    wins: int
    losses: int
    diverged: int = Field(description="Seeds at which this arm diverged and the baseline did not.")
    baseline_diverged: int
    missing: int = Field(
        description="Seeds of which no pair is left: a run failed, was cancelled or deleted, or has no value there. "
        "Whoever leaves pairs out for what they show makes p too small."
    )
    p: float | None
    p_adjusted: float | None = Field(description="Holm, over the pairs of this answer.")
    p_equivalence: float | None = Field(description="Two one-sided tests, Holm; only with `min_effect`.")
    verdict: comparing.Verdict
    seeds_for_power: int | None = Field(description="To find `min_effect` with probability 0.8.")
    seeds_needed: int | None = Field(description="How many more that are.")
    differences: list[Difference]

    @classmethod
    def of(cls, pair: comparing.Pair) -> PairView:
        """The pair as it is shown."""
        same = (
            "baseline", "std", "test", "wins", "losses", "diverged", "baseline_diverged", "missing", "p", "p_adjusted",
            "p_equivalence", "verdict", "seeds_for_power",
        )  # fmt: skip
        n, power = len(pair.seeds), pair.seeds_for_power
        return cls(
            **{name: getattr(pair, name) for name in same},
            arm=pair.group,
            n=n,
            mean_difference=pair.mean,
            ci=pair.interval,
            bootstrap_ci=pair.bootstrap,
            seeds_needed=None if power is None else max(0, power - n),
            differences=[
                Difference(seed=seed, difference=value)
                for seed, value in zip(pair.seeds, pair.differences, strict=True)
            ],
        )


class CurveView(BaseModel):
    """A group's mean ± one standard deviation over its seeds, epoch by epoch."""

    arm: str
    epoch: list[int]
    n: list[int]
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]

    @classmethod
    def of(cls, curve: curves.Curve) -> CurveView:
        """The curve as it is shown."""
        same = ("epoch", "n", "mean", "low", "high")
        return cls(arm=curve.group, **{name: getattr(curve, name) for name in same})


class ComparisonView(BaseModel):
    """Which arm is better, and how sure that is."""

    object: Literal["comparison"] = "comparison"
    study_id: str
    metric: str
    at: str
    direction: Literal["lower_is_better", "higher_is_better"]
    exploratory: bool = Field(description="Whether this is not what the study was made to answer.")
    optimistic: bool = Field(description="Whether epochs were chosen on the test set.")
    complete: bool = Field(description="Whether every run has ended.")
    by: list[str]
    baseline: str | None = Field(description="Null where all pairs are compared.")
    alpha: float = Field(description="The level of this look: the study's over the number of looks.")
    looks: int
    comparisons: int
    min_seeds_possible: int
    arms: list[GroupView]
    pairs: list[PairView]
    curves: dict[str, list[CurveView]] = Field(description="By series, as asked for.")

    @classmethod
    def of(cls, found: Compared) -> ComparisonView:
        """The comparison as it is shown."""
        same = ("study_id", "metric", "at", "exploratory", "optimistic", "complete", "baseline", "looks")
        return cls(
            **{name: getattr(found, name) for name in same},
            direction="lower_is_better" if found.lower_is_better else "higher_is_better",
            by=list(found.by),
            alpha=found.comparison.alpha,
            comparisons=len(found.comparison.pairs),
            min_seeds_possible=found.comparison.min_seeds,
            arms=[GroupView.of(group, found.folds) for group in found.comparison.groups],
            pairs=[PairView.of(pair) for pair in found.comparison.pairs],
            curves={name: [CurveView.of(one) for one in drawn] for name, drawn in found.curves.items()},
        )
