"""Datasets as clients see them."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, Field

from service.datasets.dataset import Dataset, DatasetPage, Preview
from service.datasets.options import ReadingOptions
from service.http.timestamps import timestamp
from service.sandbox.parsing.options import ColumnRole, ColumnType, Format
from worker.spec.families.dataset import Task


class ColumnView(BaseModel):
    """A column in the file of a table, and how it was read."""

    name: str
    type: ColumnType
    role: ColumnRole = Field(description="How the column is used; `dropped` columns are not stored.")
    levels: list[str] = Field(default=[], description="Texts of a category or boolean in the training rows, sorted.")
    missing: int = Field(default=0, description="Training rows without a value.")
    statistics: dict[str, Any] = Field(default={}, description="Of the training rows.")
    notes: list[str] = Field(default=[], description="Decisions about this column.")


class DatasetView(BaseModel):
    """Data that runs can be trained on."""

    id: str = Field(description="Uploads: `dataset_` and the SHA-256 of the content; built-in datasets: the kind.")
    object: Literal["dataset"] = "dataset"
    source: Literal["built_in", "uploaded"]
    owner: str | None = Field(description="Who uploaded the data first; null if the caller may not see it.")
    name: str | None
    task: Task
    shape: list[int] = Field(description="Shape of a row: (columns), (height, width) or (planes, height, width).")
    classes: list[str]
    rows_train: int = Field(description="Including validation rows.")
    rows_test: int
    order: Literal["random", "time"] = Field(
        description="How rows are held out: at random, or the last rows of a time series."
    )
    sha256: str = Field(description="`sha256:…` of the content, or of the recipe that generates it.")
    bytes: int | None
    format: Format | None = Field(description="Format of the uploaded file.")
    notes: list[str] = Field(description="Choices that the server made because the upload did not specify them.")
    warnings: list[str] = Field(default=[], description="Properties of the data that can mislead a model or a score.")
    columns: list[ColumnView] | None = Field(
        default=None, description="Tables: the file's columns. Null in lists, for images, and for older uploads."
    )
    options: ReadingOptions | None = Field(
        default=None, description="The options that the file was read with. Null in lists and for older uploads."
    )
    previous_id: str | None = Field(
        default=None, description="The dataset that this one was read again from, with other options."
    )
    missing: str | None = Field(description="The command that downloads the rows, if they are missing on this machine.")
    spec: dict[str, Any] = Field(description="The `dataset` field for a run's body.")
    test_openings: int = Field(default=0, description="Number of studies that have judged on its test part.")
    created_at: str | None

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetView:
        """Return the view of a dataset."""
        names = (
            "id",
            "source",
            "owner",
            "name",
            "task",
            "rows_train",
            "rows_test",
            "order",
            "bytes",
            "format",
            "test_openings",
            "previous_id",
        )
        return cls(
            **{name: getattr(dataset, name) for name in names},
            missing=dataset.missing,
            shape=list(dataset.shape),
            classes=list(dataset.classes),
            sha256=dataset.digest,
            notes=list(dataset.notes),
            warnings=list(dataset.warnings),
            columns=None if dataset.columns is None else [ColumnView.model_validate(one) for one in dataset.columns],
            options=None if dataset.options is None else ReadingOptions.model_validate(dataset.options),
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
        """Return the view of a page."""
        data = [DatasetView.of(dataset) for dataset in page.datasets]
        return cls(data=data, has_more=page.has_more, next_cursor=page.next_cursor)


class ClassCount(BaseModel):
    """Numbers of rows of a class."""

    name: str
    rows_train: int
    rows_test: int


class RowView(BaseModel):
    """A stored row of a table: numbers, texts, dates in ISO 8601, and null for missing values."""

    x: list[float | str | None]
    y: str | float


class FeatureView(BaseModel):
    """Statistics of a column over the training rows."""

    name: str
    min: float
    max: float
    mean: float
    std: float


class PixelView(BaseModel):
    """Statistics of all training pixels, with black 0 and white 1; use them for `dataset.normalize`."""

    mean: float
    std: float


class DatasetPreview(BaseModel):
    """A preview of a dataset: the first rows and columns of a table, or some images of each class."""

    object: Literal["dataset_preview"] = "dataset_preview"
    dataset_id: str
    columns: list[str] | None = Field(description="All columns in order; a text column became one column per value.")
    target: str | None
    class_counts: list[ClassCount] | None
    rows: list[RowView] | None = Field(description="The first training rows, with at most 100 columns.")
    features: list[FeatureView] | None = Field(description="At most the first 100 columns.")
    pixels: PixelView | None
    picture: str | None = Field(description="A PNG as a `data:` URL.")

    @classmethod
    def of(cls, preview: Preview) -> DatasetPreview:
        """Return the view of a preview."""
        return cls(dataset_id=preview.dataset_id, **preview.content)
