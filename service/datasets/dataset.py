"""A dataset as clients see it, built in or uploaded."""

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
"""The creation time of built-in datasets, which lists them before all uploads."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset; ``spec`` is the ``dataset`` field of a run that trains on it."""

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
    warnings: Sequence[str] = ()
    columns: Sequence[Mapping[str, Any]] | None = None
    """Type, role, statistics and notes of each column; None of images, of earlier versions' uploads, and in lists."""
    options: Mapping[str, Any] | None = None
    """The options that the file was read with, where they differ from the defaults; None as for ``columns``."""
    previous_id: str | None = None
    """The dataset whose options were changed to get this one."""
    test_openings: int = 0
    """Studies that have judged on the test part."""

    @classmethod
    def built_in(cls, part: DatasetPart, settings: Settings) -> Dataset:
        """Return a built-in dataset with its defaults, and whether this machine has its files."""
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
            order="time" if part.chronological else "random",
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
        """Return the dataset in ``row``."""
        fields = (
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
            "warnings",
            "previous_id",
        )
        spec = {"kind": "uploaded", "id": row.id}
        part = Uploaded(kind="uploaded", id=row.id, content=content_of(row))
        return cls(
            **{name: getattr(row, name) for name in (*fields, "created_at")},
            source="uploaded",
            digest=part.digest(),
            missing=missing_here(part, settings),
            spec=spec,
            columns=columns_in(row._mapping.get("schema")),
            options=row._mapping.get("options"),
        )


def columns_in(schema: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]] | None:
    """Return the columns in a stored schema."""
    return None if schema is None else schema["columns"]


@dataclass(frozen=True)
class DatasetPage:
    """A page of datasets (built-in ones by kind, then uploads, newest first), and the cursor of the next page."""

    datasets: Sequence[Dataset]
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True)
class Preview:
    """An overview of an upload to look at before training."""

    dataset_id: str
    content: Mapping[str, Any]
