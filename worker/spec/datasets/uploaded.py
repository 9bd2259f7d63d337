"""Uploaded data: rows that somebody brought, known by what they are.

An upload's name is the SHA-256 of its file, which the service writes from whatever was sent: safetensors with
``train_y``, ``test_y``, ``train_x``, ``test_x``, and in its header the task, the classes' names and the columns'.
Equal data have one name on every machine, so a spec that names them means the same wherever it is read.

Reference: National Institute of Standards and Technology, 2015, "Secure Hash Standard", FIPS 180-4.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from worker.spec.families.dataset import Arrays, Dataset, Task
from worker.spec.part import Spec

if TYPE_CHECKING:
    import numpy as np

FOLDER = "uploads"
"""Where uploads lie, in the folder of all datasets."""
PREFIX = "dataset_"
ID = re.compile(rf"{PREFIX}([0-9a-f]{{64}})")
MAX_CLASSES, MAX_NAME_LENGTH = 1000, 100
WHITE = 255.0
CHUNK = 65_536
"""Rows that are processed at once, to limit memory."""
CONSTANT = 1e-6
"""Up to this share of its mean, what a column varies by is rounding."""


class Content(Spec):
    """Facts about uploaded data, so that a spec can be checked and trained without the database."""

    task: Task = Field(description="Whether the target is a class or a number.")
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, max_length=3, description="Of a row.")
    classes: tuple[Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH)], ...] = Field(
        max_length=MAX_CLASSES, description="Their names; none where the target is a number."
    )
    rows_train: int = Field(ge=1, description="Validation included.")
    rows_test: int = Field(ge=1, description="Held out for good.")
    order: Literal["random", "time"] = Field(
        default="random",
        exclude_if=lambda order: order == "random",  # as it was before there was another
        description="How rows were held out: at random, or the last ones, since they follow each other in time.",
    )


class Uploaded(Dataset):
    """Rows that were uploaded: a table, or images of one size."""

    reference: ClassVar[str] = "National Institute of Standards and Technology 2015, Secure Hash Standard"

    kind: Literal["uploaded"] = "uploaded"
    id: str = Field(
        max_length=128,
        examples=[PREFIX + 64 * "0"],
        description="What POST /v1/datasets answered; it names the content.",
    )
    validation_size: int = Field(
        default=0,
        ge=0,
        description="Rows held out of the training part for validation; left out, the server takes a fifth of it.",
    )
    standardize: bool = Field(
        default=True,
        description="Shift and scale each column of a table, and a target that is a number, to mean 0 and standard "
        "deviation 1 over the rows that are trained on; images are left alone.",
    )
    content: Content | None = Field(
        default=None, description="What the server knows of the data. It fills this in, and believes no other."
    )

    @property
    def known(self) -> Content:
        """The content that the server filled in."""
        assert self.content is not None, f"the content of {self.id} is not filled in"
        return self.content

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a row."""
        return self.known.shape

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return self.known.classes

    @property
    def rows(self) -> tuple[int, int]:
        """Of the training part and of the test part."""
        return self.known.rows_train, self.known.rows_test

    @property
    def task(self) -> Task:
        """Whether the target is a class or a number."""
        return self.known.task

    @property
    def chronological(self) -> bool:
        """Whether the rows were sent in the order of time, and the last ones held out for testing."""
        return self.known.order == "time"

    @property
    def white(self) -> float:
        """255 for images; the numbers of a table are what they are."""
        return WHITE if len(self.shape) > 1 else 1.0

    @property
    def learns_scaling(self) -> bool:
        """Columns of a table are standardised by the rows that are trained on."""
        return self.standardize and len(self.shape) == 1

    def resolved(self, content: Content) -> Uploaded:
        """Return the dataset with its content filled in; by default, a fifth of the rows validates."""
        rows = {} if "validation_size" in self.model_fields_set else {"validation_size": content.rows_train // 5}
        return self.model_copy(update={"content": content, **rows})

    def scaling(self, x: np.ndarray[Any, Any]) -> tuple[float | np.ndarray[Any, Any], float | np.ndarray[Any, Any]]:
        """Each column's own factor and shift, where a table is to be standardised; a constant column becomes 0."""
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
        if not self.standardize:
            return 1.0, 0.0
        mean, std = (float(value) for value in _moments(y))
        return (1 / std, -mean / std) if std > CONSTANT * abs(mean) else (1.0, -mean)

    def digest(self) -> str:
        """Of the file: it is the dataset's id."""
        return f"sha256:{self.id.removeprefix(PREFIX)}"

    def file(self, home: Path) -> Path | None:
        """Where the file should be; None for an id that no upload has."""
        match = ID.fullmatch(self.id)
        return None if match is None else home / FOLDER / file_name(match[1])

    def missing(self, home: Path) -> str | None:
        """Return how to restore a missing file, or None; checks only its existence."""
        file = self.file(home)
        if file is not None and file.is_file():
            return None
        return f"The rows of {self.id!r} are not on this machine. Upload the file again: the same data get the same id."

    def load(self, home: Path) -> Arrays:
        """The rows, checked: images as uint8, tables as float32.

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
        labels = np.int64 if self.known.task == "classification" else np.float64
        x = (tensors["train_x"], tensors["test_x"])
        y = (tensors["train_y"].astype(labels), tensors["test_y"].astype(labels))
        return Arrays(x[0], y[0], x[1], y[1])


def _moments(x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Mean and standard deviation of ``x`` (n, …) over its rows, in float64."""
    import numpy as np

    mean = x.mean(0, dtype=np.float64)
    squares = sum(np.square(x[i : i + CHUNK] - mean).sum(0) for i in range(0, len(x), CHUNK))
    return mean, np.sqrt(squares / len(x))


def stored_as(dataset: Dataset) -> tuple[str, str] | None:
    """The name of an upload's file, among those of uploads, and its SHA-256; None if the dataset is not an upload."""
    match = ID.fullmatch(dataset.id) if isinstance(dataset, Uploaded) else None
    return None if match is None else (file_name(match[1]), match[1])


def file_name(sha256: str) -> str:
    """The name of the file with this content."""
    return f"{sha256}.safetensors"
