"""The models: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.model import Model
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyModel = Model
else:
    AnyModel = union_of(__name__, Model)

KINDS = parts_in(__name__, Model)
"""Every part of this folder, by kind."""
