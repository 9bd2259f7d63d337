"""Stop rules: when a run ends early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.spec.part import Part


class Stop(Part):
    """A rule that ends a run early: a pure function of the recorded history, so a resumed run decides the same."""

    def stopped(self, history: Mapping[str, Sequence[float | None]]) -> bool:
        """Return whether the run ends after the last epoch of ``history``: series by name, from epoch 1."""
        return False

    def step_limit(self) -> int | None:
        """Return the number of optimizer steps after which the run ends, even within an epoch; None is no limit."""
        return None
