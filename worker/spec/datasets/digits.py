"""Handwritten digits, 8×8 pixels: small, bundled, real.

1797 pictures of which every fifth of each class, in the file's order, is a test picture.

Reference: Alpaydin and Kaynak, 1998, "Optical recognition of handwritten digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from worker.spec.families.built_in import BuiltIn
from worker.spec.families.dataset import Arrays

FILE = Path(__file__).with_name("files") / "digits.csv.gz"


class Digits(BuiltIn):
    """1442 training and 355 test pictures of handwritten digits, 8×8, in ten classes."""

    reference: ClassVar[str] = "Alpaydin and Kaynak 1998, Optical recognition of handwritten digits"
    shape: ClassVar[tuple[int, ...]] = (8, 8)
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    rows: ClassVar[tuple[int, int]] = (1442, 355)
    white: ClassVar[float] = 16.0

    kind: Literal["digits"] = "digits"
    validation_size: int = Field(default=288, ge=0, description="Rows held out of the training part for validation.")

    @classmethod
    @functools.cache
    def digest(cls) -> str:
        """Of the bundled file."""
        return "sha256:" + hashlib.sha256(FILE.read_bytes()).hexdigest()

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """The pictures as uint8 (N, 8, 8), values 0 … 16."""
        import numpy as np

        table = np.loadtxt(FILE, delimiter=",", dtype=np.uint8)
        x, y = table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
        test = np.zeros(len(y), dtype=bool)
        for label in range(10):
            test[np.flatnonzero(y == label)[4::5]] = True
        return Arrays(x[~test], y[~test], x[test], y[test])
