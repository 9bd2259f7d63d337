"""The limited process: reads orders, computes or draws, answers. It may take so much memory and time, and no more.

It knows no database and gets none of the service's secrets. It exits when its standard input ends, even while it is
busy: orders are read on a thread of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import os
import queue
import resource
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, assert_never

import numpy as np

from service.sandbox.predicting.curves import curve
from service.sandbox.predicting.grids import Judged, classes_judged, grid, numbers_judged
from service.sandbox.predicting.messages import (
    TOO_LARGE,
    Answer,
    DrawCurve,
    DrawGrid,
    Export,
    Message,
    Predict,
    Refused,
    next_order,
)
from service.sandbox.predicting.model_cache import CannotBeDone, Rows, Shelf, predictions, short_of_memory
from worker import logs
from worker.lifetime import kill_with_parent

LOG = logging.getLogger("fitwell.predicting")
SHELF_SHARE = 8
"""Models that are kept take at most this part of the memory allowed."""
Order = Predict | Export | DrawGrid | DrawCurve


def done(order: Order, content: bytes, shelf: Shelf) -> tuple[Message, bytes]:
    """The reply to an order, and the bytes that go with it."""
    try:
        match order:
            case Predict():
                return _predicted(order, content, shelf)
            case Export():
                return _exported(order, shelf), b""
            case DrawGrid():
                return _grid(order, shelf)
            case DrawCurve():
                picture = curve(order)
                return (picture, b"") if isinstance(picture, Refused) else (Answer(), picture)
            case _:
                assert_never(order)
    except CannotBeDone as error:
        return Refused(reason=error.reason, message=str(error), place=error.place), b""
    except Exception as error:
        if not short_of_memory(error):
            raise
        shelf.clear()
        return TOO_LARGE, b""


def _predicted(order: Predict, content: bytes, shelf: Shelf) -> tuple[Answer, bytes]:
    loaded = shelf.model(order.model)
    if order.chosen is not None:
        rows = shelf.rows(loaded.spec, order.chosen)
        return _true(rows), predictions(loaded, rows.x).tobytes()
    x = np.frombuffer(content, "<f4").reshape(-1, *loaded.spec.dataset.shape)
    return Answer(), predictions(loaded, x).tobytes()


def _true(rows: Rows) -> Answer:
    """The true targets."""
    y = tuple(rows.y.tolist())
    return Answer(labels=y) if np.issubdtype(rows.y.dtype, np.integer) else Answer(targets=y)


def _exported(order: Export, shelf: Shelf) -> Answer:
    _, content = shelf.drawn(order.model, order.metadata)
    target = Path(order.target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CannotBeDone("no_space", f"The file could not be written ({error.strerror}).") from error
    return Answer(sha256=hashlib.sha256(content).hexdigest())


def _grid(order: DrawGrid, shelf: Shelf) -> tuple[Answer, bytes]:
    loaded = shelf.model(order.model)
    dataset = loaded.spec.dataset
    if len(dataset.shape) < 2 or (len(dataset.shape) == 3 and dataset.shape[0] not in (1, 3)):
        message = (
            f"A row of {dataset.kind!r} has shape {list(dataset.shape)}, which is no image; only images are drawn."
        )
        raise CannotBeDone("no_image", message)
    rows = shelf.rows(loaded.spec, order.chosen)
    found, true = predictions(loaded, rows.x), rows.y.tolist()
    labels = classes_judged(found, true, dataset.classes) if dataset.classes else numbers_judged(found, true)
    return Answer(), grid(Judged(rows.x, dataset.white, labels), order.title, order.theme)


class Limits:
    """What the process may take."""

    def __init__(self, *, memory: int, seconds: float) -> None:
        self._seconds = seconds
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def allow_one_order(self) -> None:
        """Let the processor time for one order begin now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        until = math.ceil(used.ru_utime + used.ru_stime + self._seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def serve(orders: BinaryIO, replies: BinaryIO, shelf: Shelf, limits: Limits) -> None:
    """Send an empty answer once everything is loaded, then answer orders until the input ends."""
    replies.write(Answer().frame())
    replies.flush()
    waiting: queue.SimpleQueue[tuple[Order, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders, waiting), daemon=True, name="orders").start()
    while True:
        order, received = waiting.get()
        limits.allow_one_order()
        reply, content = done(order, received, shelf)
        replies.write(reply.frame(content))
        replies.flush()


def _read(orders: BinaryIO, waiting: queue.SimpleQueue[tuple[Order, bytes]]) -> None:
    """Queue the orders; end the process with its input."""
    try:
        while (received := next_order(orders.read)) is not None:
            waiting.put(received)
    except Exception:
        LOG.exception("an order could not be read")
        os._exit(1)
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Serve the service on standard input and output; whatever else prints goes to standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args(arguments)
    kill_with_parent()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logs.set_up_as_parent()
    limits = Limits(memory=given.memory, seconds=given.seconds)
    serve(sys.stdin.buffer, replies, Shelf(given.datasets, given.memory // SHELF_SHARE), limits)


if __name__ == "__main__":
    main(sys.argv[1:])
