"""Query parameters of uploads."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field, StringConstraints

from service.http.names import PLAIN
from service.http.parameters import QueryModel
from service.sandbox.parsing.options import Format, Options, Task

Title = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=PLAIN)]


class UploadQuery(QueryModel):
    """How to read an uploaded file."""

    name: Title | None = Field(default=None, description="For display.")
    format: Format | None = Field(
        default=None, description="Format of the file; by default detected from Content-Type and the first bytes."
    )
    target: str | None = Field(default=None, description="Tables: the column to predict; by default the last.")
    drop: list[str] = Field(default=[], description="Tables: columns to leave out.")
    header: bool | None = Field(default=None, description="CSV: whether the first row names the columns.")
    task: Task | None = Field(
        default=None,
        description="By default classification for text and up to 20 whole numbers, otherwise regression.",
    )
    test_size: float | None = Field(
        default=None, gt=0, le=2**53, description="Test rows: a share below 1, or a number. Default 0.2."
    )
    order: Literal["random", "time"] | None = Field(
        default=None, description="`time`: the last rows are the test rows, as for a time series."
    )
    seed: int = Field(default=0, ge=0, le=2**53 - 1, description="Chooses the test rows.")
    grey: bool = Field(default=False, description="Images: convert to grayscale.")

    def options(self, content_format: Format | None) -> Options:
        """Return the options for the parser; ``content_format`` is the format that the Content-Type names."""
        return Options(
            format=self.format or content_format,
            target=self.target,
            drop=tuple(self.drop),
            header=self.header,
            task=self.task,
            test_size=self.test_size,
            order=self.order,
            seed=self.seed,
            grey=self.grey,
        )


UploadParams = Annotated[UploadQuery, Query()]
