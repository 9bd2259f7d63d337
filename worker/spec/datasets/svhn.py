"""SVHN: 99,289 cropped digits of house numbers in Google Street View, in color; without the extra training part.

MATLAB files, read by SciPy once their SHA-256 is verified.

Reference: Netzer, Wang, Coates, Bissacco, Wu and Ng, 2011, "Reading digits in natural images with unsupervised feature
learning".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.built_in import BuiltIn
from worker.spec.families.dataset import Arrays
from worker.spec.fetched import Fetched

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class SVHN(Fetched, BuiltIn):
    """73,257 training and 26,032 test photos of digits of house numbers in color, 32×32."""

    reference: ClassVar[str] = "Netzer et al. 2011, Reading digits in natural images with unsupervised feature learning"
    shape: ClassVar[tuple[int, ...]] = (3, 32, 32)
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    rows: ClassVar[tuple[int, int]] = (73_257, 26_032)
    rows_of_classes: ClassVar[tuple[int, ...]] = (
        4_948, 13_861, 10_585, 8_497, 7_458, 6_882, 5_727, 5_595, 5_045, 4_659,
    )  # fmt: skip
    white: ClassVar[float] = 255.0
    files: ClassVar[Mapping[str, str]] = {
        "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    }
    mirrors: ClassVar[tuple[str, ...]] = ("http://ufldl.stanford.edu/housenumbers/",)

    kind: Literal["svhn"] = "svhn"
    validation_size: int = Field(default=10_000, ge=0, description="Rows held out of the training part for validation.")

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """Return the data of both files, verified."""
        (train_x, train_y), (test_x, test_y) = (_part(path) for path in cls.genuine(home).values())
        return Arrays(train_x, train_y, test_x, test_y)


def _part(path: Path) -> tuple[Array, Array]:
    """Return images (n, 3, 32, 32) and labels (n,); the file has (32, 32, 3, n), and 10 for the digit 0."""
    import numpy as np
    from scipy.io import loadmat

    content = loadmat(path, variable_names=("X", "y"))
    return np.ascontiguousarray(np.transpose(content["X"], (3, 2, 0, 1))), content["y"][:, 0].astype(np.int64) % 10
