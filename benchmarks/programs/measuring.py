"""What all programs share: their arguments, the data, the clock, the line they print."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worker.spec.datasets.fashion_mnist import FashionMNIST

MEAN, STD = 0.1307, 0.3081
BATCH, CLASSES, PIXELS = 64, 10, 784
LR = 0.01


@dataclass(frozen=True)
class Task:
    """What to train, and how often an epoch is timed after one to warm up."""

    hidden: tuple[int, ...]
    runs: int
    threads: int
    epochs: int


def task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", default="128,128")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    given = parser.parse_args()
    return Task(tuple(map(int, given.hidden.split(","))), given.runs, given.threads, given.epochs)


def training_rows() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pixels uint8 (60000, 784) and labels int64."""
    data = FashionMNIST.load(Path("~/.local/share/fitwell/datasets").expanduser())
    return data.train_x.reshape(-1, PIXELS).copy(), data.train_y


def report(epoch: Callable[[], float], wanted: Task, **more: Any) -> None:
    """Time ``epoch`` after one to warm up; it returns its mean training loss. Seconds are per run."""
    epoch()
    seconds, loss = [], 0.0
    for _ in range(wanted.epochs):
        start = time.perf_counter()
        loss = epoch()
        seconds.append((time.perf_counter() - start) / wanted.runs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"epoch_seconds": statistics.median(seconds), "loss": loss, "peak_bytes": peak, **more}))
