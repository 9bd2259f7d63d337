"""Downsampling of long histories for charts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from service.runs.run import History


def thinned(history: History, points: int) -> History:
    """Return at most ``points`` epochs: first, last, the lowest held-out loss, extremes, and others evenly spaced.

    The extremes of every series take at most half of the points, so that the curves keep their shapes.
    """
    count = len(history.epoch)
    if count <= points:
        return history
    evenly = np.linspace(0, count - 1, points).round().astype(int).tolist()
    indices = _first({0: None, count - 1: None, **dict.fromkeys(_lowest(history))}, points)
    indices = _first({**indices, **dict.fromkeys(_extremes(history))}, max(len(indices), points // 2))
    indices = _first({**indices, **dict.fromkeys(evenly)}, points)
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


def _first(indices: Mapping[int, None], most: int) -> dict[int, None]:
    """Return the first ``most`` indices, as an ordered set."""
    return dict.fromkeys(itertools.islice(indices, most))


def _lowest(history: History) -> Iterator[int]:
    """Yield the index of the lowest held-out loss, if one was recorded."""
    for name in ("val.loss", "test.loss"):
        values = [(value, i) for i, value in enumerate(history.series.get(name, ())) if value is not None]
        if values:
            yield min(values)[1]
            return


def _extremes(history: History) -> Iterator[int]:
    """Yield, of every series, the indices of its highest, lowest and first non-finite value."""
    for values in history.series.values():
        finite = [(value, i) for i, value in enumerate(values) if value is not None]
        if finite:
            yield max(finite)[1]
            yield min(finite)[1]
        yield from itertools.islice((i for i, value in enumerate(values) if value is None), 1)
