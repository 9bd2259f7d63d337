"""Query parameters of reproductions."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from service.http.parameters import QueryModel
from service.reproductions.definition import Scale

ReportFormat = Literal["html", "json", "csv"]


class ScaleQuery(QueryModel):
    """The scale of a reproduction."""

    scale: Scale = Field(default="quick", description="The scale whose results to return.")


class ReportQuery(ScaleQuery):
    """The scale and the format of a report."""

    format: ReportFormat | None = Field(default=None, description="html, json or csv; by default as Accept prefers.")


ScaleParams = Annotated[ScaleQuery, Query()]
ReportParams = Annotated[ReportQuery, Query()]
