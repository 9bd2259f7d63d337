"""Confusion matrix and parameters of any saved model of a run.

The worker measures those of the last epoch when the run ends, and they are stored with the run. Those of the best epoch
or of averaged weights are computed from the file of weights, on request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from service.models.service import Models
from service.runs.reader import RunReader
from service.runs.run import Confusion
from service.runs.saved_weights import At
from service.sandbox.predicting.messages import Confuse, Summarize


class Parameters(NamedTuple):
    """A summary of each parameter of a model, after ``epoch``."""

    epoch: int
    summaries: Sequence[Mapping[str, Any]]


async def confusion_at(models: Models, reader: RunReader, run_id: str, at: At) -> Confusion:
    """Return the confusion matrix of a run's model on the test rows.

    Raises:
        RunNotFound: No run has this id.
        NotMeasured: The run has not succeeded, is never evaluated on test rows, or has a numeric target.
        NoWeights: The run has no weights of this epoch.
        FileLost: The weights are missing or altered.
        Unprocessable: ONNX cannot represent the model, or it needs too much memory.
        Unavailable, TookTooLong: The computation is not possible at the moment.
    """
    stored = await asyncio.to_thread(reader.confusion, run_id)
    if at == "last" or await _is_last(models, run_id, at, stored.epoch):
        return stored
    await asyncio.to_thread(models.check_unsealed, run_id, "test")
    weights, _, data = await models.compute(run_id, at, lambda model, _: Confuse(model=model, split="test"))
    counts = np.frombuffer(data, "<i8").reshape(len(stored.classes), len(stored.classes))
    return replace(stored, epoch=weights.file.epoch, counts=counts.tolist())


async def parameters_at(models: Models, reader: RunReader, run_id: str, at: At) -> Parameters:
    """Return a summary of each parameter of a run's model.

    Raises:
        RunNotFound: No run has this id.
        NotMeasured: The run has neither succeeded nor diverged.
        NoWeights: The run has no weights of this epoch.
        FileLost: The weights are missing or altered.
        Unprocessable: The model needs too much memory.
        Unavailable, TookTooLong: The computation is not possible at the moment.
    """
    run, stored = await asyncio.to_thread(reader.weights, run_id)
    if at == "last" or await _is_last(models, run_id, at, run.epoch):
        return Parameters(run.epoch, stored)
    weights, _, data = await models.compute(run_id, at, lambda model, _: Summarize(model=model))
    return Parameters(weights.file.epoch, json.loads(data))


async def _is_last(models: Models, run_id: str, at: At, last: int) -> bool:
    """Return whether the best epoch of a run is its ``last``, whose results are stored."""
    return at == "best" and (await asyncio.to_thread(models.find, run_id, at)).file.epoch == last
