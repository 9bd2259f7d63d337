"""The predictor process: reads orders, computes or draws, and replies, within limits on memory and time.

It has no access to the database or the service's secrets. It exits when its standard input ends, even while it is
busy: orders are read on a thread of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import os
import queue
import resource
import secrets
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, assert_never

import numpy as np
from numpy.typing import NDArray

from service.sandbox.predicting.curves import curve
from service.sandbox.predicting.dataset_rows import Rows
from service.sandbox.predicting.drawings import drawing
from service.sandbox.predicting.evaluations import describe, evaluate, file_rows, importance
from service.sandbox.predicting.loaded_models import OrderRefused, predictions, short_of_memory
from service.sandbox.predicting.messages import (
    ROW_SCORES,
    TOO_LARGE,
    Answer,
    AnyOrder,
    Calibrate,
    Confuse,
    Describe,
    DrawCurve,
    DrawGrid,
    Evaluate,
    Export,
    Importance,
    Message,
    Outputs,
    Predict,
    Refused,
    Summarize,
    next_order,
)
from service.sandbox.predicting.model_cache import ModelCache
from service.sandbox.predicting.outputs import outputs
from worker import logs
from worker.lifetime import kill_with_parent

LOG = logging.getLogger("fitwell.predicting")
CACHE_SHARE = 8
"""Cached models use at most one part in ``CACHE_SHARE`` of the memory limit."""


def serve_order(order: AnyOrder, content: bytes, cache: ModelCache) -> tuple[Message, bytes]:
    """Return the reply to an order, and the bytes that follow it."""
    try:
        return _result(order, content, cache)
    except OrderRefused as error:
        return Refused(reason=error.reason, message=str(error), place=error.place, errors=error.errors), b""
    except Exception as error:
        if not short_of_memory(error):
            raise
        cache.clear()
        return TOO_LARGE, b""


def _result(order: AnyOrder, content: bytes, cache: ModelCache) -> tuple[Message, bytes]:
    match order:
        case Predict():
            return _predict(order, content, cache)
        case Describe() | Evaluate() | Importance() | Summarize():
            return Answer(), json.dumps(_evaluated(order, cache)).encode()
        case Outputs() | Calibrate() | Confuse():
            return Answer(), _of_split(order, cache)
        case Export():
            return _export(order, cache), b""
        case DrawGrid():
            return Answer(), drawing(order, cache)
        case DrawCurve():
            picture = curve(order)
            return (picture, b"") if isinstance(picture, Refused) else (Answer(), picture)
        case _:
            assert_never(order)


def _predict(order: Predict, content: bytes, cache: ModelCache) -> tuple[Answer, bytes]:
    loaded = cache.model(order.model)
    if order.chosen is not None:
        rows = cache.rows(loaded, order.chosen)
        return _targets(rows), predictions(loaded, rows.x).tobytes()
    if order.file is not None:
        x = loaded.inputs(file_rows(order.file, loaded).x)
        return Answer(), predictions(loaded, x).tobytes()
    if loaded.table is not None:
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve memory ahead
        from service.sandbox.predicting.table_rows import table_rows  # noqa: PLC0415 - slow to import

        table, notes = table_rows(json.loads(content), loaded.table, order.missing)
        return Answer(table=notes), predictions(loaded, loaded.inputs(table)).tobytes()
    x = np.frombuffer(content, "<f4").reshape(-1, *loaded.spec.dataset.shape)
    return Answer(), predictions(loaded, x).tobytes()


def _evaluated(order: Describe | Evaluate | Importance | Summarize, cache: ModelCache) -> Any:
    if isinstance(order, Summarize):  # needs no graph
        return cache.parameters(order.model)
    loaded = cache.model(order.model)
    match order:
        case Describe():
            return describe(loaded, cache)
        case Evaluate():
            return evaluate(order, loaded, cache)
        case Importance():
            return importance(order, loaded, cache)


def _of_split(order: Outputs | Calibrate | Confuse, cache: ModelCache) -> bytes:
    """Return what is measured of every row of a split."""
    match order:
        case Outputs():
            return outputs(order, cache)
        case Calibrate():
            return _row_scores(order, cache).tobytes()
        case Confuse():
            return _confusion(order, cache).tobytes()


def _row_scores(order: Calibrate, cache: ModelCache) -> NDArray[Any]:
    """Return the scores of every row of the split, in blocks, so that memory does not grow with the inputs."""
    loaded = cache.model(order.model)
    blocks = []
    for rows in cache.blocks(loaded, order.split):
        p = predictions(loaded, rows.x).astype(np.float64)
        scores = np.empty(len(p), ROW_SCORES)
        scores["confidence"], scores["hit"] = p.max(1), p.argmax(1) == rows.y
        p[np.arange(len(p)), rows.y] -= 1
        scores["brier"] = np.square(p).sum(1)
        scores["weight"] = 1 if rows.weights is None else rows.weights
        blocks.append(scores)
    return np.concatenate(blocks)


def _confusion(order: Confuse, cache: ModelCache) -> NDArray[np.int64]:
    """Return how often rows of each true class get each class, in blocks likewise; of equal outputs the first wins."""
    loaded = cache.model(order.model)
    count = loaded.spec.dataset.outputs
    cells = np.zeros(count * count, np.int64)
    for rows in cache.blocks(loaded, order.split):
        predicted = predictions(loaded, rows.x, logits=True).argmax(1)
        cells += np.bincount(rows.y.astype(np.int64) * count + predicted, minlength=count * count)
    return cells.reshape(count, count)


def _targets(rows: Rows) -> Answer:
    """Return an answer with the true labels or numbers of ``rows``."""
    y = tuple(rows.y.tolist())
    return Answer(labels=y) if np.issubdtype(rows.y.dtype, np.integer) else Answer(targets=y)


def _export(order: Export, cache: ModelCache) -> Answer:
    content = (cache.onnx if order.form == "onnx" else cache.source)(order.model, order.metadata)
    target = Path(order.target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OrderRefused("no_space", f"The file could not be written ({error.strerror}).") from error
    return Answer(sha256=hashlib.sha256(content).hexdigest())


class Limits:
    """The limits that the process sets itself."""

    def __init__(self, *, memory: int, seconds: float) -> None:
        self._seconds = seconds
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def allow_one_order(self) -> None:
        """Allow the processor time of one order from now on."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime + self._seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def serve(orders: BinaryIO, replies: BinaryIO, cache: ModelCache, limits: Limits) -> None:
    """Send an empty answer once everything is loaded, then answer orders until the input ends."""
    replies.write(Answer().frame())
    replies.flush()
    waiting: queue.SimpleQueue[tuple[AnyOrder, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders, waiting), daemon=True, name="orders").start()
    while True:
        order, received = waiting.get()
        limits.allow_one_order()
        reply, content = serve_order(order, received, cache)
        replies.write(reply.frame(content))
        replies.flush()


def _read(orders: BinaryIO, waiting: queue.SimpleQueue[tuple[AnyOrder, bytes]]) -> None:
    """Queue the orders; end the process with its input."""
    try:
        while (received := next_order(orders.read)) is not None:
            waiting.put(received)
    except Exception:
        LOG.exception("an order could not be read")
        os._exit(1)
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Serve orders on standard input and output; anything else that prints goes to standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    kill_with_parent()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logs.set_up_as_parent()
    limits = Limits(memory=options.memory, seconds=options.seconds)
    try:
        serve(sys.stdin.buffer, replies, ModelCache(options.datasets, options.memory // CACHE_SHARE), limits)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # the interpreter's own end would abort while the other thread reads standard input


if __name__ == "__main__":
    main(sys.argv[1:])
