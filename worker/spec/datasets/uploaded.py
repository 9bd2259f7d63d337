"""Uploaded data, identified by their content.

An upload's id is the SHA-256 of its file, which the service writes from the upload: safetensors, with the task and the
names of classes and columns in the header. Images, and tables of earlier versions, are rows of numbers: ``train_y``,
``test_y``, ``train_x``, ``test_x``. Other tables are typed (:mod:`worker.spec.tables.files`). Equal data have the same
id on every machine, so a spec means the same everywhere.

Reference: National Institute of Standards and Technology, 2015, "Secure Hash Standard", FIPS 180-4.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from worker.spec.class_subsets import labels_of
from worker.spec.families.dataset import Arrays, Dataset, Task
from worker.spec.part import Spec
from worker.spec.tables import files
from worker.spec.tables.dataset import TableDataset
from worker.spec.tables.embedded import EmbeddedColumn

if TYPE_CHECKING:
    import numpy as np

FOLDER = "uploads"
"""The folder of uploads in the folder of datasets."""
PREFIX = "dataset_"
ID = re.compile(rf"{PREFIX}([0-9a-f]{{64}})")
MAX_CLASSES, MAX_NAME_LENGTH = 1000, 100
WHITE = 255.0
CHUNK = 65_536
"""Rows that are processed at once, to limit memory."""
CONSTANT = 1e-6
"""A column that varies by at most this share of its mean is constant but for rounding."""


class Content(Spec):
    """Facts about uploaded data, so that a spec can be checked and trained without the database."""

    task: Task = Field(description="Whether the target is a class or a number.")
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=3, description="Shape of a row.")
    classes: tuple[Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH)], ...] = Field(
        max_length=MAX_CLASSES, description="Their names; none where the target is a number."
    )
    rows_train: int = Field(ge=1, description="Rows of the training part, validation included.")
    rows_test: int = Field(ge=1, description="Rows of the test part.")
    order: Literal["random", "time"] = Field(
        default="random",
        exclude_if=lambda order: order == "random",  # so that hashes are the same as before orders existed
        description="How test rows were selected: at random, or the last ones in time.",
    )
    layout: Literal[1, 2] = Field(
        default=1,
        exclude_if=lambda layout: layout == 1,
        description="2: a typed table, whose `shape` is the number of features that the spec's `columns` make of it.",
    )
    largest_group: int = Field(
        default=0,
        ge=0,
        exclude_if=lambda rows: rows == 0,
        description="Rows of the training part's largest group; 0 if rows have no groups.",
    )
    rows_validation: int = Field(
        default=0, ge=0, exclude_if=lambda rows: rows == 0, description="Rows of the training part that must validate."
    )
    horizon: int = Field(
        default=1,
        ge=1,
        exclude_if=lambda rows: rows == 1,
        description="Rows from the last known target to a row's own.",
    )
    rows_of_classes: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(),
        max_length=MAX_CLASSES,
        exclude_if=lambda rows: not rows,
        description="Rows of each class in the training part; only beside `train_classes`.",
    )
    embedded: tuple[EmbeddedColumn, ...] = Field(
        default=(),
        exclude_if=lambda embedded: not embedded,
        description="The columns of a typed table that the spec's `columns` embed.",
    )


class Uploaded(TableDataset):
    """Rows that were uploaded: a table, or images of one size."""

    reference: ClassVar[str] = "National Institute of Standards and Technology 2015, Secure Hash Standard"

    kind: Literal["uploaded"] = "uploaded"
    id: str = Field(
        max_length=128,
        examples=[PREFIX + 64 * "0"],
        description="The id that POST /v1/datasets returned; a digest of the content.",
    )
    validation_size: int = Field(
        default=0,
        ge=0,
        description="Rows held out of the training part for validation; a fifth of it by default.",
    )
    content: Content | None = Field(
        default=None, description="Facts about the data. Set by the server; values of clients are ignored."
    )

    @property
    def upload_id(self) -> str:
        """``id``."""
        return self.id

    @property
    def known(self) -> Content:
        """The content that the server filled in."""
        assert self.content is not None, f"the content of {self.id} is not filled in"
        return self.content

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self.known.shape

    @property
    def embedded(self) -> tuple[EmbeddedColumn, ...]:
        """The columns that the preparation embeds."""
        return self.known.embedded

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.known.classes

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the training part and of the test part."""
        return self.known.rows_train, self.known.rows_test

    @property
    def task(self) -> Task:
        """Whether the target is a class or a number."""
        return self.known.task

    @property
    def rows_of_classes(self) -> tuple[int, ...] | None:
        """Rows of each class in the training part; None if the server has not counted them."""
        return self.known.rows_of_classes or None

    @property
    def tokens(self) -> int | None:
        """None, which is unknown, if the numbers of a table keep their scale; otherwise 0."""
        unscaled = self.preparation.number.scale == "none" if self.is_table else not self.standardize
        return None if unscaled and len(self.shape) == 1 else 0

    @property
    def chronological(self) -> bool:
        """Whether rows are in order of time, and the last ones test."""
        return self.known.order == "time"

    @property
    def is_table(self) -> bool:
        """Whether the data are a typed table."""
        return self.known.layout == files.LAYOUT

    @property
    def largest_group(self) -> int:
        """Rows of the largest group."""
        return self.known.largest_group

    @property
    def given_validation_rows(self) -> int:
        """Rows that the data designate for validation."""
        return self.known.rows_validation

    @property
    def horizon(self) -> int:
        """Rows from the last known target to a row's own."""
        return self.known.horizon

    @property
    def white(self) -> float:
        """255 for images, 1 for tables."""
        return WHITE if len(self.shape) > 1 else 1.0

    @property
    def learns_scaling(self) -> bool:
        """Whether columns are standardized by the training rows; those of a typed table are prepared instead."""
        return self.standardize and len(self.shape) == 1 and not self.is_table

    def resolved(self, content: Content) -> Uploaded:
        """Return the dataset with its content filled in; by default, a fifth of the rows validates."""
        default = content.rows_validation or content.rows_train // 5
        requested = "validation_size" in self.model_fields_set or self.fold is not None
        rows = {} if requested else {"validation_size": default}
        classes = None if self.train_classes is None else labels_of(self.train_classes, content.classes)
        return self.model_copy(update={"content": content, "train_classes": classes, **rows})

    def scaling(self, x: np.ndarray[Any, Any]) -> tuple[float | np.ndarray[Any, Any], float | np.ndarray[Any, Any]]:
        """Return each column's scale and shift if a table is standardized; constant columns become 0."""
        import numpy as np

        factor, shift = super().scaling(x)
        if not self.learns_scaling:
            return factor, shift
        mean, std = _moments(x)
        varies = std > CONSTANT * np.abs(mean)
        inverse = np.where(varies, 1 / np.where(varies, std, 1.0), 0.0)
        return factor * inverse, shift - mean * factor * inverse

    def target_scaling(self, y: np.ndarray[Any, Any]) -> tuple[float, float]:
        """Scale to mean 0 and standard deviation 1 if ``standardize`` is set; constant targets stay constant."""
        if self.is_table or not self.standardize:
            return super().target_scaling(y)
        mean, std = (float(value) for value in _moments(y))
        return (1 / std, -mean / std) if std > CONSTANT * abs(mean) else (1.0, -mean)

    def digest(self) -> str:
        """Return the digest of the file, which is in the dataset's id."""
        return f"sha256:{self.id.removeprefix(PREFIX)}"

    def file(self, home: Path) -> Path | None:
        """Return the path of the file, which may be missing, or None if the id is malformed."""
        match = ID.fullmatch(self.id)
        return None if match is None else home / FOLDER / file_name(match[1])

    def target_name(self, home: Path) -> str | None:
        """Return the target's name in the header of the file; images have none."""
        file = self.file(home)
        name: str | None = files.read_header(file).get("target") if file is not None and file.is_file() else None
        return name

    def missing(self, home: Path) -> str | None:
        """Return how to restore a missing file, or None; checks only its existence."""
        file = self.file(home)
        if file is not None and file.is_file():
            return None
        return f"The rows of {self.id!r} are not on this machine. Upload the file again: the same data get the same id."

    def load(self, home: Path) -> Arrays:
        """Return the rows, verified: images as uint8, tables typed, or as float32 if an earlier version stored them.

        Raises:
            FileNotFoundError: The file is missing, truncated or altered.
        """
        import numpy as np
        from safetensors.numpy import load_file

        file = self.file(home)
        if file is None or not file.is_file():
            raise FileNotFoundError(self.missing(home))
        with file.open("rb") as content:
            if f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}" != self.digest():
                raise FileNotFoundError(
                    f"{file} is cut short or altered (its SHA-256 differs); upload the same file again to mend it."
                )
        tensors = load_file(file)
        if self.is_table:
            return files.arrays_of(files.read_header(file), tensors)
        labels = np.int64 if self.known.task == "classification" else np.float64
        x = (tensors["train_x"], tensors["test_x"])
        y = (tensors["train_y"].astype(labels), tensors["test_y"].astype(labels))
        validates = tensors.get("train_validates")
        designated = None if validates is None else validates.astype(bool)
        return Arrays(x[0], y[0], x[1], y[1], train_validates=designated)


def _moments(x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return mean and standard deviation of ``x`` (n, …) over its rows, in float64."""
    import numpy as np

    mean = x.mean(0, dtype=np.float64)
    squares = sum(np.square(x[i : i + CHUNK] - mean).sum(0) for i in range(0, len(x), CHUNK))
    return mean, np.sqrt(squares / len(x))


def stored_as(dataset: Dataset) -> tuple[str, str] | None:
    """Return the name of an upload's file and its SHA-256, or None if the dataset is not an upload."""
    match = ID.fullmatch(dataset.upload_id or "")
    return None if match is None else (file_name(match[1]), match[1])


def file_name(sha256: str) -> str:
    """Return the name of the file with this content."""
    return f"{sha256}.safetensors"
