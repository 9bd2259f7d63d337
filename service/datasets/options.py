"""Options for reading a file, as clients send and see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from service.runs.patches import merged
from service.sandbox.parsing.options import ColumnType, Format, Options, Task

MAX_LAGS = MAX_HORIZON = 1000
MAX_WINDOW_ROWS = 100_000
MAX_WINDOWS = 10
MAX_PIXELS = 4096
"""Height and width to which images can be resized."""
MAX_ITEMS = 10_000
DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
"""Names of delimiters that are hard to type or to quote."""


def _delimiter(text: str) -> str:
    delimiter = DELIMITERS.get(text, text)
    if delimiter != "whitespace" and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise ValueError(f"A delimiter is one character, 'tab' or 'whitespace', not {text!r}")
    return delimiter


def _encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise ValueError(f"Unknown encoding {name!r}; examples: utf-8, utf-16, cp1252, gbk, shift_jis") from error
    return name


ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A name, or a position counted from 0 if no column has this name."""
Text = Annotated[str, StringConstraints(max_length=256)]
Delimiter = Annotated[str, StringConstraints(min_length=1, max_length=10), AfterValidator(_delimiter)]
Encoding = Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(_encoding)]
Window = Annotated[int, Field(ge=2, le=MAX_WINDOW_ROWS)]
Pixels = Annotated[int, Field(ge=1, le=MAX_PIXELS)]
Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]
Columns = Annotated[list[ColumnName], Field(max_length=MAX_ITEMS)]
Texts = Annotated[list[Text], Field(max_length=MAX_ITEMS)]
Windows = Annotated[list[Window], Field(max_length=MAX_WINDOWS)]
DROP = "Tables: columns to leave out, by name or position."
SEED = "Chooses the test rows."
GREY = "Images: convert to grayscale."
TYPES = "Tables: types of columns instead of the detected ones"
ARRAYS = "`.npz`: keys of the arrays by their meaning (`x`, `y`, `x_train`, `y_train`, `x_test`, `y_test`)"
SIZE = "Images: resize all to this height and width"


class CommonOptions(BaseModel):
    """The options with one form in bodies and in queries. An option that is null is detected, or has its default."""

    format: Format | None = Field(
        default=None, description="Format of the file; by default detected from Content-Type and the first bytes."
    )
    target: ColumnName | None = Field(default=None, description="Tables: the column to predict; by default the last.")
    header: bool | None = Field(default=None, description="Text files: whether the first row names the columns.")
    delimiter: Delimiter | None = Field(
        default=None, description="Text files: one character, `tab`, or `whitespace` for any run of spaces and tabs."
    )
    decimal: Literal[".", ","] | None = Field(default=None, description="Text files: the decimal mark.")
    encoding: Encoding | None = Field(default=None, description="Text files: such as `cp1252`; by default detected.")
    missing: Texts | None = Field(
        default=None, description="Tables: texts that stand for a missing value, besides the usual ones (`NA`, `?`, …)."
    )
    sheet: Text | None = Field(default=None, description="Workbooks: the sheet that holds the table.")
    member: Text | None = Field(default=None, description="Zip files: the entry that holds the table.")
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
    split: ColumnName | None = Field(
        default=None, description="Tables: the column that says of each row whether it trains, validates or tests."
    )
    group: ColumnName | None = Field(
        default=None, description="Tables: the column whose equal values are never on both sides of a split."
    )
    time: ColumnName | None = Field(default=None, description="Tables: the column that orders the rows in time.")
    weight: ColumnName | None = Field(default=None, description="Tables: the column with the weights of the rows.")
    lags: int | None = Field(
        default=None,
        ge=0,
        le=MAX_LAGS,
        description="Series: earlier values of each column of numbers to add. Default 0.",
    )
    horizon: int | None = Field(
        default=None,
        ge=1,
        le=MAX_HORIZON,
        description="Series: rows between the last known values and the target. Default 1.",
    )
    rolling: Windows | None = Field(
        default=None, description="Series: windows, in rows, whose mean and standard deviation are added."
    )
    center_crop: bool | None = Field(
        default=None, description="Images: crop to the aspect ratio of `size` before resizing, instead of stretching."
    )
    classes: Texts | None = Field(default=None, description="Images and arrays: the classes to keep. Default: all.")


class JsonOptions(CommonOptions):
    """The options with one form in all bodies."""

    drop: Columns | None = Field(default=None, description=DROP)
    seed: Seed | None = Field(default=None, description=f"{SEED} Default 0.")
    grey: bool | None = Field(default=None, description=GREY)
    size: tuple[Pixels, Pixels] | None = Field(default=None, description=f"{SIZE}.")


class ReadingOptions(JsonOptions):
    """How a file was read. An option that is null was detected, or had its default; notes say what was detected."""

    types: dict[str, ColumnType] | None = Field(default=None, description=f"{TYPES}.")
    arrays: dict[str, str] | None = Field(default=None, description=f"{ARRAYS}.")


def options_of(values: Mapping[str, Any]) -> Options:
    """Return the parser's options; ``values`` are JSON, and null is the default."""
    changed_values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if value is not None
    }
    return Options(**changed_values)


def stored(options: Options) -> dict[str, Any]:
    """Return the options that differ from their defaults, as JSON."""
    defaults = asdict(Options())
    changed = {name: value for name, value in asdict(options).items() if value != defaults[name]}
    values: dict[str, Any] = json.loads(json.dumps(changed))
    return values


def changed(options: Mapping[str, Any], patch: Mapping[str, Any]) -> Options:
    """Return stored ``options`` with a merge patch applied (RFC 7396): null restores the default."""
    return options_of(merged(options, patch))
