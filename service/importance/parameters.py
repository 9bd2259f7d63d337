"""Query parameters of the importance of columns over a study's runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from service.importance.service import StudyQuestion
from service.models.parameters import ImportanceQuery
from service.runs.saved_weights import At


class StudyImportanceQuery(ImportanceQuery):
    """Whose importance is measured, and how."""

    at: At | None = Field(
        default=None,
        description="The models after their best epoch (lowest val.loss, or test.loss without one), or after their "
        "last. By default that of the study; `last` for a study that is compared at an epoch's number.",
    )
    arm: list[str] = Field(default=[], max_length=1000, description="Only these arms; by default all.")
    runs: int = Field(
        default=200,
        ge=1,
        le=1000,
        description="Runs to measure, at most: the first replicates of every arm. `left_out` counts the others.",
    )
    columns: int = Field(
        default=30, ge=1, le=200, description="Columns of each arm, at most: those with the largest mean importance."
    )

    def study_question(self) -> StudyQuestion:
        """Return the question for the service."""
        return StudyQuestion(
            at=self.at, of_runs=self.question(), max_runs=self.runs, max_columns=self.columns, arms=self.arm
        )


StudyImportanceParams = Annotated[StudyImportanceQuery, Query()]
