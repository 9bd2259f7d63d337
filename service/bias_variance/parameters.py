"""Query parameters of bias and variance."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from service.http.parameters import QueryModel
from service.runs.saved_weights import At


class BiasVarianceQuery(QueryModel):
    """Whose predictions are decomposed."""

    at: At | None = Field(
        default=None,
        description="The models after their best epoch (lowest val.loss, or test.loss without one), or after their "
        "last. By default that of the study; `last` for a study that is compared at an epoch's number.",
    )
    arm: list[str] = Field(default=[], max_length=1000, description="Only these arms; by default all.")


BiasVarianceParams = Annotated[BiasVarianceQuery, Query()]
