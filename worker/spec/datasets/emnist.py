"""EMNIST: handwritten letters and digits, 28×28 grey, in MNIST's format and in five selections.

The files have the images transposed; here they are upright, as in MNIST. One archive has all selections. It is verified
by its SHA-256 before it is opened, and read in memory.

Reference: Cohen, Afshar, Tapson and van Schaik, 2017, "EMNIST: an extension of MNIST to handwritten letters".
"""

from __future__ import annotations

import gzip
import string
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.dataset import Arrays
from worker.spec.fetched import Fetched
from worker.spec.idx import values_of

if TYPE_CHECKING:
    import numpy as np

ALL = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)
MERGED = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")
"""Without the small letters that look like their capitals."""
CLASSES = {
    "balanced": MERGED, "letters": tuple(string.ascii_lowercase), "digits": tuple(string.digits),
    "byclass": ALL, "bymerge": MERGED,
}  # fmt: skip
ROWS = {
    "balanced": (112_800, 18_800), "letters": (124_800, 20_800), "digits": (240_000, 40_000),
    "byclass": (697_932, 116_323), "bymerge": (697_932, 116_323),
}  # fmt: skip


class EMNIST(Fetched):
    """Handwritten letters and digits, 28×28: 131,600 in 47 balanced classes, or another selection."""

    reference: ClassVar[str] = "Cohen, Afshar, Tapson and van Schaik 2017, EMNIST: an extension of MNIST to letters"
    files: ClassVar[Mapping[str, str]] = {
        "gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    }
    mirrors: ClassVar[tuple[str, ...]] = ("https://biometrics.nist.gov/cs_links/EMNIST/",)

    kind: Literal["emnist"] = "emnist"
    validation_size: int = Field(default=10_000, ge=0, description="Rows held out of the training part for validation.")
    split: Literal["balanced", "letters", "digits", "byclass", "bymerge"] = Field(
        default="balanced",
        description="`balanced`: 47 classes of the same size; `letters`: 26, capitals and small letters together; "
        "`digits`: 10; `byclass`: all 62, of very different sizes; `bymerge`: 47, of very different sizes.",
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return 28, 28

    @property
    def classes(self) -> tuple[str, ...]:
        """The characters of the selection."""
        return CLASSES[self.split]

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the training part and of the test part."""
        return ROWS[self.split]

    @property
    def rows_of_classes(self) -> tuple[int, ...] | None:
        """Rows of each class in the training part; None for the selections whose classes differ in size."""
        if self.split in ("byclass", "bymerge"):
            return None
        return (self.rows[0] // len(self.classes),) * len(self.classes)

    @property
    def white(self) -> float:
        """The raw value of white."""
        return 255.0

    def load(self, home: Path) -> Arrays:
        """Return the data of the selection, verified."""
        (path,) = self.genuine(home).values()
        with zipfile.ZipFile(path) as archive:
            train_x, train_y, test_x, test_y = (
                self._member(archive, f"{part}-{values}")
                for part in ("train", "test")
                for values in ("images-idx3", "labels-idx1")
            )
        first = int(self.split == "letters")  # whose labels begin at 1
        return Arrays(
            _upright(train_x), train_y.astype("int64") - first, _upright(test_x), test_y.astype("int64") - first
        )

    def _member(self, archive: zipfile.ZipFile, name: str) -> np.ndarray[Any, Any]:
        return values_of(gzip.decompress(archive.read(f"gzip/emnist-{self.split}-{name}-ubyte.gz")))


def _upright(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the images (n, 28, 28) transposed."""
    import numpy as np

    return np.ascontiguousarray(x.transpose(0, 2, 1))
