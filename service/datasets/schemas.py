"""Datasets as clients see them."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.datasets.dataset import Dataset, DatasetPage, Preview
from service.http.timestamps import timestamp
from service.sandbox.parsing.options import Format
from worker.spec.families.dataset import Task


class DatasetView(BaseModel):
    """Data that runs can be trained on."""

    id: str = Field(description="Of an upload, `dataset_` and the SHA-256 of its content; else the kind.")
    object: Literal["dataset"] = "dataset"
    source: Literal["built_in", "uploaded"]
    owner: str | None = Field(description="Who brought an upload first; null where that is nobody else's to know.")
    name: str | None
    task: Task
    shape: list[int] = Field(description="Of a row: (columns), (height, width) or (planes, height, width).")
    classes: list[str]
    rows_train: int = Field(description="Validation included.")
    rows_test: int
    order: Literal["random", "time"] = Field(
        description="How rows are held out: at random, or the last ones, since they follow each other in time."
    )
    sha256: str = Field(description="`sha256:…` of the content, or of the recipe that makes it.")
    bytes: int | None
    format: Format | None = Field(description="Of the file that was uploaded.")
    notes: list[str] = Field(description="What was found out, as nobody said it.")
    missing: str | None = Field(description="What brings the rows to this machine, where they are not there.")
    spec: dict[str, Any] = Field(description="The `dataset` of a run's body.")
    created_at: str | None

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetView:
        """The dataset as it is shown."""
        same = ("id", "source", "owner", "name", "task", "rows_train", "rows_test", "order", "bytes", "format")
        return cls(
            **{name: getattr(dataset, name) for name in same},
            missing=dataset.missing,
            shape=list(dataset.shape),
            classes=list(dataset.classes),
            sha256=dataset.digest,
            notes=list(dataset.notes),
            spec=dict(dataset.spec),
            created_at=timestamp(dataset.created_at) if math.isfinite(dataset.created_at) else None,
        )


class DatasetList(BaseModel):
    """A page of datasets: the built-in ones, then uploads, newest first."""

    object: Literal["list"] = "list"
    data: list[DatasetView]
    has_more: bool
    next_cursor: str | None = Field(description="Pass it as `after` for the next page.")

    @classmethod
    def of(cls, page: DatasetPage) -> DatasetList:
        """The page as it is shown."""
        data = [DatasetView.of(dataset) for dataset in page.datasets]
        return cls(data=data, has_more=page.has_more, next_cursor=page.next_cursor)


class ClassCount(BaseModel):
    """How many rows a class has."""

    name: str
    rows_train: int
    rows_test: int


class RowView(BaseModel):
    """A row of a table, as it is stored."""

    x: list[float]
    y: str | float


class FeatureView(BaseModel):
    """What a column holds in the training part."""

    name: str
    min: float
    max: float
    mean: float
    std: float


class PixelView(BaseModel):
    """Of all pixels of the training part, black being 0 and white 1; `dataset.normalize` takes them as they are."""

    mean: float
    std: float


class DatasetPreview(BaseModel):
    """What a dataset looks like: of a table the first rows and columns, of images some of each class."""

    object: Literal["dataset_preview"] = "dataset_preview"
    dataset_id: str
    columns: list[str] | None = Field(description="All of them, in order; text became one for each value.")
    target: str | None
    class_counts: list[ClassCount] | None
    rows: list[RowView] | None = Field(description="The first of the training part, at most 100 columns of them.")
    features: list[FeatureView] | None = Field(description="At most the first 100.")
    pixels: PixelView | None
    picture: str | None = Field(description="A PNG as a `data:` address.")

    @classmethod
    def of(cls, preview: Preview) -> DatasetPreview:
        """The preview as it is shown."""
        return cls(dataset_id=preview.dataset_id, **preview.shown)
