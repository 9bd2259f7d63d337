"""The outputs of a model for all rows of a split, with the targets and weights of the rows."""

from __future__ import annotations

import numpy as np

from service.sandbox.predicting.loaded_models import predictions
from service.sandbox.predicting.messages import Outputs
from service.sandbox.predicting.model_cache import ModelCache
from worker.spec.run import RunSpec


def outputs(order: Outputs, cache: ModelCache) -> bytes:
    """Return targets, weights and outputs as :class:`Outputs` describes them; rows are loaded in blocks.

    Raises:
        OrderRefused: The file does not match its digest, the dataset is missing, or ONNX cannot represent the model.
    """
    if RunSpec.of(order.model.spec).model.trains:
        loaded = cache.model(order.model)
        blocks = [(rows, predictions(loaded, rows.x, logits=True)) for rows in cache.blocks(loaded, order.split)]
    else:
        neighbors, rows_of_split = cache.neighbors(order.model, order.split)
        blocks = [(rows, neighbors.logits(rows.x)) for rows in rows_of_split]
    targets = np.concatenate([rows.y.astype("<f8") for rows, _ in blocks])
    weights = [np.ones(len(rows.y)) if rows.weights is None else rows.weights for rows, _ in blocks]
    values = np.concatenate([block.astype("<f4") for _, block in blocks])
    return targets.tobytes() + np.concatenate(weights).astype("<f8").tobytes() + values.tobytes()
