"""The losses: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.loss import Loss
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyLoss = Loss
else:
    AnyLoss = union_of(__name__, Loss)

KINDS = parts_in(__name__, Loss)
"""Every part of this folder, by kind."""
