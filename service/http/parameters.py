"""Query parameters: a model for each route, in which unknown names are errors.

A misspelled filter must not go unnoticed, so a route without parameters refuses all of them (``service.http.routing``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field


class QueryModel(BaseModel):
    """The query parameters of a route."""

    model_config = ConfigDict(extra="forbid")


Limit = Annotated[int, Field(ge=1, le=1000)]
Cursor = Annotated[str | None, Field(description="`next_cursor` of the page before.")]


class PageQuery(QueryModel):
    """A page of a list, newest first."""

    limit: Limit = 20
    after: Cursor = None


PageParams = Annotated[PageQuery, Query()]
