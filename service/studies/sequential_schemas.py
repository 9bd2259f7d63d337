"""Sequential studies as clients see them: looks, boundaries, and results of pairs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.statistics.sequential import LookResult, SequentialResult
from service.studies.sequential import Course


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
