"""The schedules: one file each; the union is built from what the folder holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.spec.families.schedule import Schedule
from worker.spec.part import parts_in, union_of

if TYPE_CHECKING:
    AnySchedule = Schedule
else:
    AnySchedule = union_of(__name__, Schedule)

KINDS = parts_in(__name__, Schedule)
"""Every part of this folder, by kind."""
