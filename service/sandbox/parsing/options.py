"""Options and limits for parsing an upload, shared by the service and the parser process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Format = Literal["npz", "csv", "parquet", "zip", "arrow", "xlsx", "arff", "npy"]
Task = Literal["classification", "regression"]
ColumnType = Literal["number", "category", "boolean", "date", "text", "id"]
ColumnRole = Literal["input", "target", "dropped", "group", "time", "split", "weight"]
Mark = Literal[".", ","]
"""A decimal mark."""
TEST_SHARE = 0.2
"""Default share of rows in the test part."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to parse a file; None is inferred, and explained in a note."""

    format: Format | None = None
    target: str | None = None
    drop: tuple[str, ...] = ()
    header: bool | None = None
    task: Task | None = None
    test_size: float | None = None
    order: Literal["random", "time"] | None = None
    seed: int = 0
    grey: bool = False
    encoding: str | None = None
    """Of a text file, such as ``cp1252``."""
    delimiter: str | None = None
    """One character; ``whitespace`` is any run of spaces and tabs."""
    decimal: Mark | None = None
    missing: tuple[str, ...] = ()
    """Texts that stand for a missing value, besides the usual ones."""
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    """Types of columns by name, instead of the detected ones."""
    sheet: str | None = None
    """Of a workbook, by name; by default the only one that has cells."""
    member: str | None = None
    """The entry of a zip file, or the pair of arrays, that holds the table."""
    group: str | None = None
    """The column whose equal values are never on both sides of a split."""
    time: str | None = None
    """The column that orders the rows; implies ``order="time"``."""
    split: str | None = None
    """The column that says of each row whether it trains, validates or tests."""
    weight: str | None = None
    """The column with the weights of the rows."""
    lags: int = 0
    """Earlier values of each number column that become columns of their own."""
    horizon: int = 1
    """Rows between the last known values and the target, in a series with lags."""
    rolling: tuple[int, ...] = ()
    """Windows, in rows, whose mean and standard deviation become columns, in a series."""
    size: tuple[int, int] | None = None
    """Images: height and width to which all are resized."""
    center_crop: bool = False
    """Images: crop to the aspect ratio of ``size`` before resizing, instead of stretching."""
    classes: tuple[str, ...] = ()
    """Images and arrays: the classes to keep; empty keeps all."""
    arrays: Mapping[str, str] = field(default_factory=dict)
    """Keys of a .npz file by their meaning (``x``, ``y``, ``x_train``, …)."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on parsing a file."""

    memory_bytes: int
    """Address space, beyond what the parser uses before it opens the file."""
    dataset_bytes: int
    """Size of the resulting dataset."""
    seconds: float


@dataclass(frozen=True)
class Files:
    """The files in the parser's directory."""

    path: Path

    @property
    def body(self) -> Path:
        """The upload."""
        return self.path / "body"

    @property
    def reading(self) -> Path:
        """The parser's arguments; options may be longer than a command line."""
        return self.path / "reading.json"

    @property
    def data(self) -> Path:
        """The parsed dataset."""
        return self.path / "data.safetensors"

    @property
    def report(self) -> Path:
        """The parser's report."""
        return self.path / "report.json"

    @property
    def task(self) -> Path:
        """The task of the parser, if it is not to write a dataset."""
        return self.path / "task.json"

    @property
    def outputs(self) -> Path:
        """A model's outputs for the rows of the upload, float32 (N, C)."""
        return self.path / "outputs"

    @property
    def merged(self) -> Path:
        """The upload with a model's predictions."""
        return self.path / "merged"

    @property
    def story(self) -> Path:
        """The parser's standard error."""
        return self.path / "stderr"


@dataclass(frozen=True)
class Reading:
    """The arguments of the parser."""

    options: Options
    limits: Limits

    def text(self) -> str:
        """Return the arguments as text."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Reading:
        """Parse the text of ``text()``."""
        values = json.loads(text)
        options: dict[str, Any] = {
            name: tuple(one) if isinstance(one, list) else one for name, one in values["options"].items()
        }
        return cls(Options(**options), Limits(**values["limits"]))


@dataclass(frozen=True, kw_only=True)
class KnownColumn:
    """A column of the dataset that a model was trained on."""

    name: str
    type: ColumnType
    levels: tuple[str, ...] = ()
    decimal: Mark = "."
    day_first: bool | None = None
    used: bool = True
    """Whether the model uses it."""


@dataclass(frozen=True, kw_only=True)
class RowsTask:
    """Read rows of known columns instead of a dataset."""

    columns: tuple[KnownColumn, ...]
    target: str | None = None
    """The column with the true values, if they are needed."""
    classes: tuple[str, ...] = ()
    """The classes of the target; empty if it is a number."""
    weight: str | None = None
    """The column with the weights of rows, if the file has it."""

    def text(self) -> str:
        """Return the task as text."""
        return json.dumps({"rows": asdict(self)})


@dataclass(frozen=True, kw_only=True)
class MergeTask:
    """Write the rows of the file with a model's outputs beside them."""

    form: Literal["csv", "parquet"]
    columns: tuple[str, ...]
    """The names of all columns in the file."""
    classes: tuple[str, ...] = ()
    """The classes of the outputs; empty for numbers."""

    def text(self) -> str:
        """Return the task as text."""
        return json.dumps({"merge": asdict(self)})


def task_of(text: str) -> RowsTask | MergeTask:
    """Parse the text of a task."""
    ((kind, values),) = json.loads(text).items()
    lists: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    if kind == "merge":
        return MergeTask(**lists)
    columns = tuple(KnownColumn(**{**one, "levels": tuple(one["levels"])}) for one in values["columns"])
    return RowsTask(**{**lists, "columns": columns})
