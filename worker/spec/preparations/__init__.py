"""The preparations of columns: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.preparation import Preparation
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyPreparation = Preparation
else:
    AnyPreparation = union_of(__name__, Preparation)

KINDS = parts_in(__name__, Preparation)
"""Every part of this folder, by kind."""
