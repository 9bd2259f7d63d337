"""Pictures of images of a dataset with a model's predictions: chosen ones, or those that it gets wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.grids import Judged, Label, classes_judged, grid, numbers_judged
from service.sandbox.predicting.loaded_models import Loaded, OrderRefused, predictions
from service.sandbox.predicting.messages import DrawGrid
from service.sandbox.predicting.model_cache import ModelCache


def drawing(order: DrawGrid, cache: ModelCache) -> bytes:
    """Return a PNG of the images of an order.

    Raises:
        OrderRefused: The dataset has no images, no such row, or none from the chosen one on is predicted wrong.
    """
    loaded = cache.model(order.model)
    dataset = loaded.spec.dataset
    if len(dataset.shape) < 2 or (len(dataset.shape) == 3 and dataset.shape[0] not in (1, 3)):
        message = (
            f"Rows of {dataset.kind!r} have the shape {list(dataset.shape)} and cannot be drawn: they are not images."
        )
        raise OrderRefused("no_image", message)
    judged = _chosen(order, loaded, cache) if order.wrong is None else _wrong(order, order.wrong, loaded, cache)
    return grid(judged, order.title, order.theme)


def _chosen(order: DrawGrid, loaded: Loaded, cache: ModelCache) -> Judged:
    dataset, rows = loaded.spec.dataset, cache.rows(loaded, order.chosen)
    outputs, true = predictions(loaded, rows.x), rows.y.tolist()
    labels = classes_judged(outputs, true, dataset.classes) if dataset.classes else numbers_judged(outputs, true)
    return Judged(rows.x, dataset.white, labels)


def _wrong(order: DrawGrid, count: int, loaded: Loaded, cache: ModelCache) -> Judged:
    """Predict the split in blocks until ``count`` wrong rows are known."""
    dataset, (first,) = loaded.spec.dataset, order.chosen.indices
    images: list[NDArray[Any]] = []
    labels: list[Label] = []
    before = 0
    for rows in cache.blocks(loaded, order.chosen.split):
        p = predictions(loaded, rows.x)
        is_wrong = (p.argmax(1) != rows.y) | ~np.isfinite(p).all(1)
        wrong = np.flatnonzero(is_wrong & (np.arange(len(p)) + before >= first))[: count - len(labels)]
        images.append(rows.x[wrong])
        labels += classes_judged(p[wrong], rows.y[wrong].tolist(), dataset.classes)
        before += len(p)
        if len(labels) == count:
            break
    if not labels:
        raise OrderRefused("none_wrong", f"No {order.chosen.split} row from {first} on is predicted wrong.")
    return Judged(np.concatenate(images), dataset.white, labels)
