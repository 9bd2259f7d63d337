"""The results of epochs, and the series that they add up to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.engine.stack import Member, Stack
from worker.spec.families.schedule import History
from worker.spec.stop_policy import Ending


@dataclass(frozen=True)
class EpochResult:
    """The result of one run's epoch; the run's state is at ``position`` of ``stack``."""

    member: Member
    epoch: int
    steps: int
    metrics: dict[str, float]
    seconds: float
    """Wall time of the epoch, evaluation included, of the whole stack."""
    ended: Ending | None
    """None while the run continues."""
    stack: Stack
    position: int


class Recorder:
    """The series of each run, which begin with those of the first ``done`` epochs of ``histories``."""

    def __init__(self, members: Sequence[Member], histories: Mapping[str, History], done: int) -> None:
        self.histories: dict[str, dict[str, list[float | None]]] = {
            member.run_id: {name: list(values[:done]) for name, values in histories.get(member.run_id, {}).items()}
            for member in members
        }
        """Series by run and name."""

    def record(self, member: Member, metrics: Mapping[str, float]) -> History:
        """Add the metrics of an epoch to the run's series, and return them.

        Values that are not finite are None, and so are those of epochs in which a series was not measured.
        """
        series = self.histories[member.run_id]
        epochs = max(map(len, series.values()), default=0)
        for name in dict.fromkeys((*series, *metrics)):
            values = series.setdefault(name, [])
            values += [None] * (epochs - len(values))
            value = metrics.get(name, math.nan)
            values.append(value if math.isfinite(value) else None)
        return series
