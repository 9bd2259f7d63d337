"""Request bodies of datasets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, Field

from service.datasets.options import ARRAYS, MAX_ITEMS, TYPES, ColumnName, JsonOptions, Text
from service.errors import DataRefused
from service.http.bodies import BodyModel
from service.pointers import pointer_to
from service.sandbox.parsing.options import ColumnType


class OptionsBody(JsonOptions, BodyModel):
    """Options to read the stored file with; omitted ones stay, and null restores the default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"types": {"zip": "category"}, "drop": ["name"]}]})

    types: dict[ColumnName, ColumnType | None] | None = Field(
        default=None, max_length=MAX_ITEMS, description=f"{TYPES}; columns that are not named keep theirs."
    )
    arrays: dict[Text, Text | None] | None = Field(
        default=None, max_length=MAX_ITEMS, description=f"{ARRAYS}; others stay."
    )

    def patch(self) -> dict[str, Any]:
        """Return the merge patch (RFC 7396) of the options."""
        return self.model_dump(mode="json", exclude_unset=True)


def pointing_into_body(refusal: DataRefused) -> DataRefused:
    """Return the error with JSON pointers into the body wherever it points at an option."""
    errors = [
        replace(error, pointer=pointer_to(error.pointer)) if error.pointer == error.parameter else error
        for error in refusal.errors
    ]
    return DataRefused(refusal.detail, errors=errors, headers=refusal.headers)
