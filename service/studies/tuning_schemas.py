"""Tuned studies as clients see them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from service.http.timestamps import timestamp
from service.runs.states import TERMINAL
from service.studies.study import Study
from service.studies.tuning import Tune


class SpentView(BaseModel):
    """The budget that an arm has used."""

    arm: str
    trials: int = Field(description="Equal for all arms.")
    runs: int = Field(description="Runs of these trials in the search.")
    ended: int = Field(description="Those that have ended.")


class EdgeView(BaseModel):
    """A chosen value at the edge of those tried."""

    path: str
    value: float
    end: Literal["low", "high"]
    message: str = Field(description="Which way to widen the space.")


class FrozenArmView(BaseModel):
    """The chosen trial of an arm."""

    arm: str
    trial: str = Field(description="The id of the chosen trial among the study's `arms`.")
    best: str = Field(description="The trial with the best mean; another one if a simpler trial was preferred.")
    values: dict[str, Any] = Field(description="The chosen values by path.")
    mean: float = Field(description="Mean of the search's metric over its replicates.")
    standard_error: float | None
    trials: int = Field(description="Trials that could be chosen: no run diverged or is missing.")
    edges: list[EdgeView] = Field(description="Chosen values beyond which better ones may lie.")


class GapView(BaseModel):
    """How the chosen trial of an arm fared in the confirmation, by the metric that the search chose by."""

    arm: str
    search: float
    confirmation: float | None
    runs: int = Field(description="Measured runs of the confirmation.")
    gap: float | None = Field(description="Confirmation minus search; it contains the optimism of choosing the best.")


class TuneView(BaseModel):
    """How far a tuned study has come."""

    phase: Literal["searching", "confirming", "done", "stopped"]
    budget: int
    metric: str = Field(description="The metric that the search chooses by.")
    select: str
    method: str
    spent: list[SpentView]
    choice: list[FrozenArmView] | None = Field(description="Null until the search has ended and the choice is frozen.")
    sha256: str | None = Field(description="`sha256:…` of `choice` as canonical JSON (RFC 8785).")
    frozen_at: str | None
    confirmation_id: str | None = Field(description="The study that compares the chosen trials.")
    gaps: list[GapView] | None = Field(description="Null until the confirmation has ended.")
    test_openings: dict[str, int] = Field(
        description="Number of studies that have judged on the test part, this one's confirmation included, by "
        "`sha256` of the dataset."
    )
    stop_reason: str | None

    @classmethod
    def of(cls, study: Study, tune: Tune) -> TuneView:
        """Return the view of a tuned study."""
        tuning = study.tuning or {}
        return cls(
            phase="confirming" if study.tuning_phase == "frozen" else study.tuning_phase or "searching",
            budget=tune.budget,
            metric=tune.search.metric,
            select=tune.search.select,
            method=tune.search.method,
            spent=[_spent(study, name) for name in tune.arms],
            choice=tuning.get("choice"),
            sha256=tuning.get("sha256"),
            frozen_at=timestamp(tuning.get("frozen_at")),
            confirmation_id=None if study.confirmation is None else study.confirmation.id,
            gaps=tuning.get("gaps"),
            test_openings=dict(study.test_openings),
            stop_reason=study.stop_reason,
        )


def _spent(study: Study, name: str) -> SpentView:
    trials = [arm for arm in study.arms if arm.name == name]
    ended = sum(count for arm in trials for status, count in arm.by_status.items() if status in TERMINAL)
    return SpentView(arm=name, trials=len(trials), runs=sum(arm.runs for arm in trials), ended=ended)
