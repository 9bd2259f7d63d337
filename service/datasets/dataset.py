"""A dataset as its clients see it: one that Fitwell knows by its kind, or one that was uploaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.runs.submission.dataset_refs import content_of
from service.runs.submission.review import missing_here
from service.settings import Settings
from service.store.rows import Row
from worker.spec.datasets.uploaded import Uploaded
from worker.spec.families.dataset import Dataset as DatasetPart
from worker.spec.families.dataset import Task

ALWAYS = math.inf
"""When the built-in ones were made: they are listed before all others."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset. ``spec`` is what a run's body says to train on it."""

    id: str
    source: Literal["built_in", "uploaded"]
    owner: str | None
    name: str | None
    task: Task
    shape: Sequence[int]
    classes: Sequence[str]
    rows_train: int
    rows_test: int
    order: Literal["random", "time"]
    digest: str
    bytes: int | None
    format: str | None
    notes: Sequence[str]
    missing: str | None
    spec: Mapping[str, Any]
    created_at: float

    @classmethod
    def built_in(cls, part: DatasetPart, settings: Settings) -> Dataset:
        """The dataset of a kind with its defaults, as this machine has it."""
        train, test = part.rows
        return cls(
            id=part.kind,
            source="built_in",
            owner=None,
            name=part.kind,
            task=part.task,
            shape=part.shape,
            classes=part.classes,
            rows_train=train,
            rows_test=test,
            order="random",
            digest=part.digest(),
            bytes=None,
            format=None,
            notes=(),
            missing=missing_here(part, settings),
            spec={"kind": part.kind},
            created_at=ALWAYS,
        )

    @classmethod
    def uploaded(cls, row: Row, settings: Settings) -> Dataset:
        """The dataset in ``row``."""
        same = (
            "id",
            "owner",
            "name",
            "task",
            "shape",
            "classes",
            "rows_train",
            "rows_test",
            "order",
            "bytes",
            "format",
            "notes",
        )
        spec = {"kind": "uploaded", "id": row.id}
        part = Uploaded(kind="uploaded", id=row.id, content=content_of(row))
        return cls(
            **{name: getattr(row, name) for name in (*same, "created_at")},
            source="uploaded",
            digest=part.digest(),
            missing=missing_here(part, settings),
            spec=spec,
        )


@dataclass(frozen=True)
class DatasetPage:
    """Some datasets: the built-in ones by kind, then uploads, newest first; and where the next page begins."""

    datasets: Sequence[Dataset]
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True)
class Preview:
    """What a person wants to see of an upload before training on it."""

    dataset_id: str
    shown: Mapping[str, Any]
