"""CIFAR-10: 60,000 small photos in color of ten classes.

Reference: Krizhevsky, 2009, "Learning multiple layers of features from tiny images".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.cifar import CIFAR
from worker.spec.families.built_in import BuiltIn
from worker.spec.families.dataset import Arrays


class CIFAR10(CIFAR, BuiltIn):
    """50,000 training and 10,000 test photos in color, 32×32, in ten classes."""

    shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    classes: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    rows: ClassVar[tuple[int, int]] = (50_000, 10_000)
    rows_of_classes: ClassVar[tuple[int, ...]] = (5_000,) * 10
    white: ClassVar[float] = 255.0
    files: ClassVar[Mapping[str, str]] = {
        "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    }
    members: ClassVar[tuple[Sequence[str], Sequence[str]]] = (
        [f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)],
        ["cifar-10-batches-bin/test_batch.bin"],
    )
    label_bytes: ClassVar[int] = 1

    kind: Literal["cifar10"] = "cifar10"
    validation_size: int = Field(default=5_000, ge=0, description="Rows held out of the training part for validation.")

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """Return the data of the archive, verified."""
        (train_x, train_y), (test_x, test_y) = cls.records(home)
        return Arrays(train_x, train_y[:, 0].astype("int64"), test_x, test_y[:, 0].astype("int64"))
