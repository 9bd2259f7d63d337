"""Fewer points of a long history, for drawing it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.runs.run import History


def thinned(history: History, points: int) -> History:
    """At most ``points`` epochs: the first, the last, the one with the lowest held-out loss, and others evenly spread.

    All that are there where that is no more.
    """
    count = len(history.epoch)
    if count <= points:
        return history
    keep = {0, count - 1}
    lowest = _lowest(history)
    if lowest is not None and points > 2:
        keep.add(lowest)
    for index in np.linspace(0, count - 1, points).round().astype(int).tolist():
        if len(keep) == points:
            break
        keep.add(index)
    kept = sorted(keep)
    return replace(
        history,
        downsampled=True,
        epoch=[history.epoch[i] for i in kept],
        steps=[history.steps[i] for i in kept],
        series={name: [values[i] for i in kept] for name, values in history.series.items()},
        nonfinite={
            name: {epoch: what for epoch, what in told.items() if int(epoch) in {history.epoch[i] for i in kept}}
            for name, told in history.nonfinite.items()
        },
    )


def _lowest(history: History) -> int | None:
    for name in ("val.loss", "test.loss"):
        values = [(value, i) for i, value in enumerate(history.series.get(name, ())) if value is not None]
        if values:
            return min(values)[1]
    return None
