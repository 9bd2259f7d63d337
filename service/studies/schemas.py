"""Studies and comparisons as clients see them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.runs.states import Status
from service.statistics import comparison as comparing
from service.statistics import curves
from service.statistics.pairing import Test
from service.statistics.resampling import VarianceComponents
from service.statistics.sequential import LookResult, SequentialResult
from service.studies.comparison import Compared
from service.studies.looks import ALPHA, NotYet, NotYetCode
from service.studies.preview import Preview
from service.studies.sequential import Course
from service.studies.service import StudyPage
from service.studies.study import Study, StudyStatus


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
    """A study: arms × grid × folds × seeds."""

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
    max_runs: int = Field(default=0, description="Runs of a sequential study that decides nothing early; else `runs`.")
    reused: int = Field(description="Runs with the result of an equal finished run.")
    stacks: int = Field(description="Stacks that the other runs can train in.")
    arms: list[str]
    seeds: list[int]
    splits: list[int] | None = Field(default=None, description="As in the study.")
    folds: int | None
    estimated_seconds: float = Field(description="Time of all runs one after the other; stacks take less.")
    estimated_bytes: int = Field(description="Memory of the largest run.")
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
            alpha=ALPHA,
            looks=preview.looks,
            looks_from=list(preview.looks_from),
            min_seeds_possible=preview.min_seeds,
            warnings=list(preview.warnings),
        )


class FoldsView(BaseModel):
    """The folds over which a seed's value is the mean."""

    n: int
    sd_within: float | None = Field(description="Standard deviation of the folds within a seed, pooled over seeds.")


class VarianceView(BaseModel):
    """Where the variance of single runs comes from: the split, the seed, or neither alone. Shares add up to 1."""

    total: float = Field(description="Variance of a single run's value.")
    split: float = Field(description="Share of the split.")
    seed: float = Field(description="Share of the seed.")
    residual: float = Field(description="Share that neither explains alone.")

    @classmethod
    def of(cls, components: VarianceComponents | None) -> VarianceView | None:
        """Return the view of variance components."""
        if components is None:
            return None
        shares = {name: getattr(components, name) / components.total for name in ("split", "seed", "residual")}
        return cls(total=components.total, **shares)


VARIANCE = "Shares of variance; null unless `replicates` trains every split with several seeds."


class GroupView(BaseModel):
    """Statistics of a group over its seeds."""

    id: str
    n: int = Field(description="Seeds with measurements of all runs on every fold.")
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(
        description="Interval from inverting the sign-flip test; null below six seeds."
    )
    diverged: int
    unfinished: int
    missing: int = Field(description="Seeds with a run that failed, was cancelled or deleted, or has no value.")
    folds: FoldsView | None = Field(description="Spread over folds: exploratory, no test uses it.")
    variance: VarianceView | None = Field(default=None, description=VARIANCE)
    guessing: float | None = Field(
        default=None,
        description="Mean of the metric for predictions that ignore the inputs; null if no run recorded it.",
    )

    @classmethod
    def of(cls, group: comparing.Summary, compared: Compared) -> GroupView:
        """Return the view of a group."""
        names = ("id", "n", "mean", "std", "diverged", "unfinished", "missing")
        folds = compared.folds
        return cls(
            **{name: getattr(group, name) for name in names},
            ci=group.interval,
            folds=None if folds is None else FoldsView(n=folds, sd_within=group.std_within),
            variance=VarianceView.of(compared.variances.get((group.id,))),
            guessing=compared.guessing.get(group.id),
        )


class Difference(BaseModel):
    """The difference at one seed."""

    seed: int = Field(description="The seed; the split if each has several seeds.")
    difference: float


class LookView(BaseModel):
    """A pair at one look of a sequential study."""

    seeds: int
    statistic: float = Field(description="|Σd| / √(Σd²) over the differences, or over their signs if a run diverged.")
    critical_value: float | None = Field(
        description="The boundary: the pair is decided if its statistic is larger. Null if no result could be."
    )
    p: float = Field(
        description="Share of sign flips with as large a statistic in the family; not corrected for looks."
    )
    nominal_p: float = Field(description="The largest p that is beyond the boundary.")
    alpha_spendable: float = Field(description="α that the family may have spent by this look.")
    alpha_spent: float

    @classmethod
    def of(cls, look: LookResult) -> LookView:
        """Return the view of a look."""
        return cls(**asdict(look))


class SequentialView(BaseModel):
    """A pair in a sequential study; its `ci` is a repeated confidence interval, which holds at every look."""

    decided_at: int | None = Field(description="Number of seeds with which the pair was decided.")
    seeds: int = Field(description="Number of seeds at the latest look at the pair.")
    mean: float | None = Field(description="Mean difference at that look.")
    mean_biased: bool = Field(
        description="Whether the study stopped early, so that the mean is likely too far from zero."
    )
    looks: list[LookView]

    @classmethod
    def of(cls, result: SequentialResult) -> SequentialView:
        """Return the view of a pair's result."""
        return cls(
            decided_at=result.decided_at,
            seeds=result.looks[-1].seeds,
            mean=result.mean,
            mean_biased=result.mean_biased,
            looks=[LookView.of(look) for look in result.looks],
        )


class PairView(BaseModel):
    """A group compared with another seed by seed; differences are the group's value minus the baseline's."""

    arm: str
    baseline: str
    n: int = Field(description="Seeds at which both were measured; means and intervals cover these.")
    mean_difference: float | None
    std: float | None
    ci: tuple[float, float] | None = Field(description="Interval of the mean difference; null below six pairs.")
    ci_method: Literal["inverted sign-flip test, unadjusted", "repeated confidence interval, unadjusted"] = (
        "inverted sign-flip test, unadjusted"
    )
    bootstrap_ci: tuple[float, float] | None = Field(description="BCa interval; on request, from 20 pairs on.")
    test: Test = Field(description="`sign` and `sequential_sign` if a run diverged, which counts as a loss.")
    wins: int
    losses: int
    diverged: int = Field(description="Seeds at which this arm diverged and the baseline did not.")
    baseline_diverged: int
    missing: int = Field(
        description="Seeds without a pair: a run failed, was cancelled or deleted, or has no value. "
        "Dropping pairs after seeing their results makes p too small."
    )
    p: float | None
    p_adjusted: float | None = Field(description="p corrected for the pairs of this response by `correction`.")
    p_holm: float | None = Field(default=None, description="p with Holm's correction.")
    p_nadeau_bengio: float | None = Field(
        default=None,
        description="p of the corrected resampled t test (Nadeau and Bengio 2003), not corrected for several pairs: "
        "conservative, because it allows for rows that splits share. Null unless splits vary and choose the rows that "
        "judge (`val.*`), and if a run diverged.",
    )
    variance: VarianceView | None = Field(default=None, description=f"Of the differences. {VARIANCE}")
    p_equivalence: float | None = Field(description="Two one-sided tests with Holm correction; only with `min_effect`.")
    verdict: comparing.Verdict = Field(description="`not_yet`: nothing was tested; `not_yet` of the response says why.")
    seeds_for_power: int | None = Field(description="Seeds needed to detect `min_effect` with probability 0.8.")
    seeds_needed: int | None = Field(description="Seeds to add for that power.")
    sequential: SequentialView | None = Field(
        default=None, description="The looks in a sequential study, which decide instead of p; null before the first."
    )
    differences: list[Difference]

    @classmethod
    def of(cls, pair: comparing.Pair, compared: Compared) -> PairView:
        """Return the view of a pair."""
        key = (pair.group, pair.baseline)
        names = (
            "baseline", "std", "test", "wins", "losses", "diverged", "baseline_diverged", "missing", "p", "p_adjusted",
            "p_holm", "p_equivalence", "verdict", "seeds_for_power",
        )  # fmt: skip
        n, power = len(pair.seeds), pair.seeds_for_power
        return cls(
            **{name: getattr(pair, name) for name in names},
            arm=pair.group,
            n=n,
            mean_difference=pair.mean,
            ci=pair.interval,
            bootstrap_ci=pair.bootstrap,
            p_nadeau_bengio=compared.corrected.get(key),
            variance=VarianceView.of(compared.variances.get(key)),
            ci_method="repeated confidence interval, unadjusted"
            if pair.sequential
            else "inverted sign-flip test, unadjusted",
            sequential=None if pair.sequential is None else SequentialView.of(pair.sequential),
            seeds_needed=None if power is None else max(0, power - n),
            differences=[
                Difference(seed=seed, difference=value)
                for seed, value in zip(pair.seeds, pair.differences, strict=True)
            ],
        )


class CurveView(BaseModel):
    """A group's mean ± one standard deviation over its seeds, epoch by epoch.

    Seeds with a run that failed, diverged or was cancelled do not count, unless every seed has one.
    """

    arm: str
    epoch: list[int]
    n: list[int]
    carried: list[int] = Field(
        default=[], description="Seeds among the `n` that had ended by then and count with their last value."
    )
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]

    @classmethod
    def of(cls, curve: curves.Curve) -> CurveView:
        """Return the view of a curve."""
        names = ("epoch", "n", "carried", "mean", "low", "high")
        return cls(arm=curve.group, **{name: getattr(curve, name) for name in names})


class NotYetView(BaseModel):
    """Why a study's look is not due, and what would make it due."""

    code: NotYetCode
    message: str = Field(examples=["12 of 32 runs have not ended."])
    planned: int = Field(description="Runs that the look compares.")
    ended: int = Field(description="Those that succeeded or failed.")

    @classmethod
    def of(cls, pending: NotYet) -> NotYetView:
        """Return the view of a look that is not due."""
        return cls(code=pending.code, message=pending.message, planned=pending.planned, ended=pending.ended)


class TakenLookView(BaseModel):
    """A look of a sequential study."""

    seeds: int
    alpha_spendable: float = Field(description="α that may have been spent by this look.")
    decided: list[str] = Field(description="Arms that this look decided; they get no more seeds.")
    taken_at: str


class CourseView(BaseModel):
    """How far a sequential study has come."""

    max: int
    first: int
    step: int
    start: int
    vary: list[str]
    decisive_from: int | None = Field(description="The first look at which a difference can be significant.")
    looks: list[TakenLookView]
    next_look: int | None = Field(description="Number of seeds at the next look; null once the study has ended.")
    ended: Literal["decided", "max_reached", "stopped"] | None
    stop_reason: str | None

    @classmethod
    def of(cls, course: Course) -> CourseView:
        """Return the view of a course."""
        looks = [
            TakenLookView(
                seeds=look.seeds,
                alpha_spendable=look.alpha_spendable,
                decided=list(look.decided),
                taken_at=timestamp(look.taken_at) or "",
            )
            for look in course.looks
        ]
        return cls(
            **course.schedule.model_dump(),
            decisive_from=course.decisive_from,
            looks=looks,
            next_look=course.next_look,
            ended=course.ended,
            stop_reason=course.stop_reason,
        )


class ComparisonView(BaseModel):
    """Which arm is better, and how certain that is."""

    object: Literal["comparison"] = "comparison"
    study_id: str
    metric: str
    at: str
    direction: Literal["lower_is_better", "higher_is_better"]
    exploratory: bool = Field(description="Whether this differs from the study's own question.")
    epoch_by: str | None = Field(
        default=None, description="The metric whose best epoch counts; null if `at` is not best."
    )
    optimistic: bool = Field(
        description="Whether epochs were chosen on the rows that `metric` is measured on, or on the test set."
    )
    complete: bool = Field(description="Whether every run has finished.")
    generalizes_over: list[Literal["seed", "split", "data"]] = Field(
        default=["seed"],
        description="Sources of variation that replicates differ in. Verdicts hold for what does not vary: without "
        "`split`, for this split of the data. `data`: every seed has generated data of its own.",
    )
    by: list[str]
    baseline: str | None = Field(description="Null if all pairs are compared.")
    alpha: float = Field(description="The significance level of this look: the study's divided by the number of looks.")
    looks: int
    looks_from: list[str] = Field(
        default=[], description="Earlier studies with some of the same runs, whose looks count."
    )
    not_yet: NotYetView | None = Field(default=None, description="Why no verdict is given; null if the look is due.")
    sequential: CourseView | None = Field(default=None, description="Null if the seeds are fixed.")
    correction: Literal["max_t", "holm"] = Field(
        default="max_t", description="How `p_adjusted` is corrected for the number of pairs."
    )
    comparisons: int
    min_seeds_possible: int
    arms: list[GroupView]
    pairs: list[PairView]
    curves: dict[str, list[CurveView]] = Field(description="Requested curves by series.")

    def differing_by_holm(self) -> list[str]:
        """Return the arms of the pairs that are significant by only one of this correction and Holm's."""
        return [
            pair.arm
            for pair in self.pairs
            if pair.p_adjusted is not None
            and pair.p_holm is not None
            and (pair.p_adjusted <= self.alpha) != (pair.p_holm <= self.alpha)
        ]

    @classmethod
    def of(cls, compared: Compared) -> ComparisonView:
        """Return the view of a comparison."""
        names = ("study_id", "metric", "at", "epoch_by", "exploratory", "optimistic", "complete", "baseline", "looks")
        return cls(
            **{name: getattr(compared, name) for name in names},
            looks_from=list(compared.looks_from),
            sequential=None if compared.course is None else CourseView.of(compared.course),
            not_yet=None if compared.not_yet is None else NotYetView.of(compared.not_yet),
            direction="lower_is_better" if compared.lower_is_better else "higher_is_better",
            generalizes_over=list(compared.generalizes_over),
            by=list(compared.by),
            alpha=compared.comparison.alpha,
            correction=compared.comparison.correction,
            comparisons=len(compared.comparison.pairs),
            min_seeds_possible=compared.comparison.min_seeds,
            arms=[GroupView.of(group, compared) for group in compared.comparison.groups],
            pairs=[PairView.of(pair, compared) for pair in compared.comparison.pairs],
            curves={
                name: [CurveView.of(one) for one in group_curves] for name, group_curves in compared.curves.items()
            },
        )
