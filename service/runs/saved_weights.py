"""When a run saves which weights, and which of them are of use, as messages state it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from service.runs import states
from service.store.rows import Row
from worker.spec.run import RunSpec

At = Literal["best", "last", "averaged"]


def availability(at: At, row: Row) -> str:
    """Return when a run has such weights, or why the run in ``row`` has none."""
    if at == "averaged":
        return _of_average(row)
    if at == "last":
        return "they are saved when the run ends"
    return "they are first saved during training, by runs whose loss is measured on held-out data"


def non_finite(at: str, row: Row, stored: Collection[str]) -> str | None:
    """Return why the weights ``at`` of the run in ``row`` are of no use and which are, or None if they are of use.

    ``stored`` are the weights that the run has.
    """
    if row.error_code != "diverged" or at == "best":
        return None
    remedy = 'Use those of its best epoch ("at": "best"), or name' if "best" in stored else "Name"
    return f"{row.id} diverged, so its {at} weights are not finite. {remedy} another run."


def _of_average(row: Row) -> str:
    averaging = RunSpec.of(row.spec).averaging
    if averaging is None:
        return 'only runs with averaging, such as {"kind": "ema"}, have them'
    epoch = row.epoch or 0
    if row.status in states.TERMINAL and not averaging.has_begun(epoch):
        return f"the run ended after epoch {epoch}, and averaging begins after epoch {averaging.first_epoch}"
    return "runs with averaging save them when they end"
