"""Downsampling of long histories for charts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.runs.run import History


def thinned(history: History, points: int) -> History:
    """Return at most ``points`` epochs: first, last, lowest held-out loss, and others evenly spaced."""
    count = len(history.epoch)
    if count <= points:
        return history
    indices = {0, count - 1}
    lowest = _lowest(history)
    if lowest is not None and points > 2:
        indices.add(lowest)
    for index in np.linspace(0, count - 1, points).round().astype(int).tolist():
        if len(indices) == points:
            break
        indices.add(index)
    selected = sorted(indices)
    epochs = {history.epoch[i] for i in selected}
    return replace(
        history,
        downsampled=True,
        epoch=[history.epoch[i] for i in selected],
        steps=[history.steps[i] for i in selected],
        series={name: [values[i] for i in selected] for name, values in history.series.items()},
        nonfinite={
            name: {epoch: value for epoch, value in values.items() if int(epoch) in epochs}
            for name, values in history.nonfinite.items()
        },
    )


def _lowest(history: History) -> int | None:
    for name in ("val.loss", "test.loss"):
        values = [(value, i) for i, value in enumerate(history.series.get(name, ())) if value is not None]
        if values:
            return min(values)[1]
    return None
