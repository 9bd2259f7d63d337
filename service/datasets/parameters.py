"""Query parameters of uploads."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from fastapi import Query
from pydantic import Field, StringConstraints, field_validator

from service.datasets.options import (
    ARRAYS,
    DROP,
    GREY,
    MAX_ITEMS,
    MAX_PIXELS,
    SEED,
    SIZE,
    TYPES,
    ColumnName,
    CommonOptions,
    Seed,
    options_of,
)
from service.http.names import PLAIN
from service.http.parameters import QueryModel
from service.http.patterns import PAIR, PIXELS
from service.sandbox.parsing.options import ColumnType, Format, Options

Title = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=PLAIN)]
Pair = Annotated[str, StringConstraints(min_length=3, max_length=2000, pattern=PAIR)]
Size = Annotated[str, StringConstraints(pattern=PIXELS)]


class UploadQuery(CommonOptions, QueryModel):
    """How to read an uploaded file."""

    name: Title | None = Field(default=None, description="For display.")
    drop: list[ColumnName] = Field(default=[], max_length=MAX_ITEMS, description=DROP)
    types: list[Pair] = Field(
        default=[],
        max_length=MAX_ITEMS,
        description=f"{TYPES}, as `column=type` (repeatable): `types=age=number&types=zip=category`.",
    )
    arrays: list[Pair] = Field(
        default=[],
        max_length=MAX_ITEMS,
        description=f"{ARRAYS}, as `meaning=key` (repeatable): `arrays=x=images&arrays=y=labels`.",
    )
    seed: Seed = Field(default=0, description=SEED)
    grey: bool = Field(default=False, description=GREY)
    size: Size | None = Field(default=None, description=f"{SIZE}: `64x48`, or `64` for both.")

    @field_validator("types")
    @classmethod
    def _check_types(cls, pairs: list[str]) -> list[str]:
        """Check that each pair ends with a type."""
        for pair in pairs:
            column, _, kind = pair.rpartition("=")
            if not column or kind not in get_args(ColumnType):
                expected = ", ".join(get_args(ColumnType))
                raise ValueError(f"{pair!r} is not column=type; types are {expected}")
        return pairs

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: str | None) -> str | None:
        """Check the bounds of height and width."""
        if size is not None and max(map(int, size.split("x"))) > MAX_PIXELS:
            raise ValueError(f"Images have at most {MAX_PIXELS} × {MAX_PIXELS} pixels, not {size}")
        return size

    def options(self, content_format: Format | None) -> Options:
        """Return the options for the parser; ``content_format`` is the format that the Content-Type names."""
        values: dict[str, Any] = self.model_dump(exclude={"name"})
        values["format"] = self.format or content_format
        values["types"] = dict(pair.rpartition("=")[::2] for pair in self.types)
        values["arrays"] = dict(pair.partition("=")[::2] for pair in self.arrays)
        values["size"] = None if self.size is None else _height_and_width(self.size)
        return options_of(values)


def _height_and_width(size: str) -> tuple[int, int]:
    height, _, width = size.partition("x")
    return int(height), int(width or height)


UploadParams = Annotated[UploadQuery, Query()]
