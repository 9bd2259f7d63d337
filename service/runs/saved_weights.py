"""When a run saves which weights, as messages state it."""

from __future__ import annotations

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


def _of_average(row: Row) -> str:
    averaging = RunSpec.of(row.spec).averaging
    if averaging is None:
        return 'only runs with averaging, such as {"kind": "ema"}, have them'
    epoch = row.epoch or 0
    if row.status in states.TERMINAL and not averaging.has_begun(epoch):
        return f"the run ended after epoch {epoch}, and averaging begins after epoch {averaging.first_epoch}"
    return "runs with averaging save them when they end"
