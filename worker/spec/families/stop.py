"""Stop rules: when a run ends early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.spec.part import Part


class Stop(Part):
    """A rule that ends a run early: a pure function of the recorded history, so a resumed run decides the same."""

    @property
    def watched(self) -> str | None:
        """The series that the rule watches; None if it watches none."""
        return None

    def stopped(self, history: Mapping[str, Sequence[float | None]]) -> bool:
        """Return whether the run ends after the last epoch of ``history``: series by name, from epoch 1."""
        return False

    def first_stop(self, history: Mapping[str, Sequence[float | None]]) -> int | None:
        """Return the number of the first value in ``history`` after which the rule ends the run; None if none does."""
        length = max(map(len, history.values()), default=0)
        prefixes = ({name: values[:n] for name, values in history.items()} for n in range(1, length + 1))
        return next((n for n, prefix in enumerate(prefixes, 1) if self.stopped(prefix)), None)

    def step_limit(self) -> int | None:
        """Return the number of optimizer steps after which the run ends, even within an epoch; None is no limit."""
        return None
