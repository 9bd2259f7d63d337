"""The datasets: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.dataset import Dataset
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyDataset = Dataset
else:
    AnyDataset = union_of(__name__, Dataset)

KINDS = parts_in(__name__, Dataset)
"""Every part of this folder, by kind."""
