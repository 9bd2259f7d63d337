"""Tuned studies: what their search has spent and chosen, and how the choice fared in the confirmation."""

from __future__ import annotations

from typing import Any, Literal

from fitwell.sync_async import View


class Spent(View):
    """The budget that an arm has used: its trials, their runs, and those that have ended."""

    arm: str
    trials: int
    runs: int
    ended: int


class Edge(View):
    """A chosen value at the edge of those tried; the message says which way to widen the space."""

    path: str
    value: float
    end: Literal["low", "high"]
    message: str


class FrozenArm(View):
    """The chosen trial of an arm: its values, and the mean of the search's metric over its replicates."""

    arm: str
    trial: str
    best: str
    values: dict[str, Any]
    mean: float
    standard_error: float | None
    trials: int
    edges: list[Edge]


class Gap(View):
    """How an arm's chosen trial fared in the confirmation, by the search's metric."""

    arm: str
    search: float
    confirmation: float | None
    runs: int
    gap: float | None


class Tuning(View):
    """How far a tuned study has come; ``choice`` is None until it is frozen, ``gaps`` until the confirmation ends."""

    phase: str
    budget: int
    metric: str
    select: str
    method: str
    spent: list[Spent]
    choice: list[FrozenArm] | None
    sha256: str | None
    frozen_at: str | None
    confirmation_id: str | None
    gaps: list[Gap] | None
    test_openings: dict[str, int]
    stop_reason: str | None
