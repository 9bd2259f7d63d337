"""Shared by all programs: arguments, data, clock, and the line that they print."""

from __future__ import annotations

import argparse
import json
import resource
import sys
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
CHANNELS = (16, 32)
"""Of the small convolutional network: 3×3 kernels, each followed by max-pooling, then a dense layer of the classes."""
DEGREES = 10
"""Largest angle of the random rotation; both flips have probability ½."""
DATASETS = Path("~/.local/share/fitwell/datasets").expanduser()


@dataclass(frozen=True)
class Task:
    """The training task: ``runs`` networks, for ``epochs`` epochs of ``rows`` rows after one to warm up."""

    model: str
    hidden: tuple[int, ...]
    runs: int
    threads: int
    epochs: int
    rows: int
    augment: bool
    evaluate: bool
    wait: bool
    """Report that the program is warm and wait for the signal, so that several processes start together."""


def task() -> Task:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("mlp", "cnn", "resnet20"), default="mlp")
    parser.add_argument("--hidden", default="128,128")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--evaluate", action="store_true")
    parser.add_argument("--wait", action="store_true")
    arguments = vars(parser.parse_args())
    return Task(**arguments | {"hidden": tuple(map(int, arguments["hidden"].split(",")))})


def training_rows(rows: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pixels uint8 (rows, 784) and labels int64."""
    data = FashionMNIST.load(DATASETS)
    return data.train_x.reshape(-1, PIXELS)[:rows].copy(), data.train_y[:rows]


def report(epoch: Callable[[], float], work: Task, **more: Any) -> None:
    """Time ``epoch``, which returns its mean training loss, and print what came of it."""
    epoch()
    if work.wait:
        print("warm", flush=True)
        sys.stdin.readline()
    loss = 0.0
    start, processor_start = time.perf_counter(), time.process_time()
    for _ in range(work.epochs):
        loss = epoch()
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    times = {"seconds": seconds, "processor_seconds": processor_seconds}
    print(json.dumps({**times, "loss": loss, "peak_bytes": peak, **more}))
