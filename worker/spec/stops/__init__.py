"""The stops: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.stop import Stop
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnyStop = Stop
else:
    AnyStop = union_of(__name__, Stop)

KINDS = parts_in(__name__, Stop)
"""Every part of this folder, by kind."""
