"""Requests for comparisons of studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.statistics.correction import Correction
from service.statistics.curves import Band
from service.studies.metrics import lower_is_better


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request for a comparison; None stands for the study's own metric, epoch and baseline."""

    metric: str | None = None
    at: str | None = None
    epoch_by: str | None = None
    baseline: str | None = None
    all_pairs: bool = False
    by: Sequence[str] = ("arm",)
    min_effect: float | None = None
    correction: Correction = "max_t"
    bootstrap: bool = False
    curves: Sequence[str] = ()
    band: Band = "std"
    """The band of the curves."""
    directed: bool = True
    """Whether to refuse metrics without a better direction. Of others only the groups' means are meaningful."""
    crosses: float | None = None
    """A bound: compare the first epochs at which the metric crosses it, instead of the metric."""
    after: str | None = None
    """A metric whose first epoch divides that of ``metric``; with ``crosses``."""
    each_split: bool = False
    """Whether to compare on each split alone, too; needs several seeds on every split."""

    def prefers_lower(self, metric: str) -> bool:
        """Return whether lower values are better: of the metric, or of its epochs."""
        return self.crosses is not None or lower_is_better(metric)
