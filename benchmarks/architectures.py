"""Training of the presets of architectures, each by itself on one thread, and their curves.

    python -m benchmarks.architectures docs/science/architectures.csv grokking series
    python -m benchmarks.architectures docs/science/architectures.csv resnet20 --rows 1000 --epochs 8 --cosine

``--rows`` stands in for presets on images: so many training rows of FashionMNIST, padded to 3 × 32 × 32 like those of
CIFAR-10, beside 500 rows for validation and 500 for the test. Curves are appended to the file.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.color_images import color_images
from service.catalog.presets import preset
from worker.engine.gemm_backend import cpu_model, gemm_backend_for, limit_instructions
from worker.engine.knn import data_for
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.run import RunSpec

CPU = torch.device("cpu")
METRICS = ("train.loss", "train.error", "train.loss_eval", "train.error_eval", "val.loss", "val.error", "test.error")
COLUMNS = ("preset", "arm", "epoch", "seconds", *METRICS)


def train(name: str, arm: str, spec: RunSpec, home: Path) -> Iterator[list[Any]]:
    """Train one arm; yield a row of the file for each epoch."""
    gemm_backend_for(spec, threads=1, max_runs=1).activate()
    data = data_for((spec.dataset,), spec.model, home, CPU)
    start = time.perf_counter()
    for (result,) in Training(Stack([Member(arm, spec)], CPU), data).epochs():
        values = [f"{result.metrics[metric]:.5f}" if metric in result.metrics else "" for metric in METRICS]
        yield [name, arm, result.epoch, f"{time.perf_counter() - start:.1f}", *values]


def main() -> None:
    """Train the presets that the command names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--rows", type=int, help="train on so many color images of FashionMNIST")
    parser.add_argument("--epochs", type=int, help="instead of the preset's")
    parser.add_argument("--batch-size", type=int, help="instead of the preset's")
    parser.add_argument("--cosine", action="store_true", help="lower the rate along a cosine, where epochs are few")
    parser.add_argument("--arm", action="append", help="only this arm")
    arguments = parser.parse_args()
    limit_instructions()
    print(f"{datetime.now(UTC):%Y-%m-%d}, {cpu_model()}, {platform.machine()}, torch {torch.__version__}", flush=True)
    begun = arguments.file.exists()
    with tempfile.TemporaryDirectory() as folder, arguments.file.open("a", newline="") as file:
        home, writer = Path(folder), csv.writer(file, lineterminator="\n")
        changes: dict[str, Any] = {} if arguments.rows is None else {"dataset": color_images(home, arguments.rows)}
        for field in ("epochs", "batch_size"):
            if (value := getattr(arguments, field)) is not None:
                changes[field] = value
        if arguments.cosine:
            changes["schedule"] = {"kind": "cosine"}
        if not begun:
            writer.writerow(COLUMNS)
        for name in arguments.presets:
            for arm, body in preset(name).runs.items():
                if arguments.arm and arm not in arguments.arm:
                    continue
                fields = {**{field: value for field, value in body.items() if field != "name"}, **changes}
                for row in train(name, arm, RunSpec.model_validate_json(json.dumps(fields)), home):
                    writer.writerow(row)
                    file.flush()
                print(*row, flush=True)


if __name__ == "__main__":
    main()
