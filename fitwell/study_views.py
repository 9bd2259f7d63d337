"""Parts of a study, and what clients may set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from fitwell.sync_async import View


class StudyMetadata(TypedDict, total=False):
    """The fields of a study that do not affect its runs."""

    name: str | None


class ReportOptions(TypedDict, total=False):
    """Options of a study's report; omitted options default to those of the study."""

    metric: str | None
    at: str | None
    epoch_by: str | None
    by: Sequence[str] | None
    pairs: str | None
    correction: str | None
    curve: str | None
    band: str | None


class Arm(View):
    """An arm of a study, with the number of its runs by status."""

    id: str
    name: str
    values: dict[str, Any]
    runs: int
    by_status: dict[str, int]
    decided_at: int | None = None


class Schedule(View):
    """The seeds of a sequential study, which the server adds; ``next_look`` is None once the study has ended."""

    max: int
    first: int
    step: int
    start: int
    vary: list[str]
    next_look: int | None
    stop_reason: str | None


class StudyProgress(View):
    """The progress of a study: runs by status, and epochs summed over all runs."""

    runs: int
    by_status: dict[str, int]
    epoch: int
    epochs: int
