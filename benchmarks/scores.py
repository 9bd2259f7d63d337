"""The cost of the scores in evaluation mode: the processor time of epochs with them over that without.

python -m benchmarks.scores [--runs 1 32] [--rounds 7]

``new`` leaves out what is not calibration: balanced accuracy, F1 and AUC, or MAE and MAPE. ``all`` leaves out Brier
score and ECE as well. Both kinds of epochs are interleaved in one process on one thread; a ratio is the median over
rounds. Rows are random: a table of 2,000 × 20 numbers with two classes, ten classes, or a numeric target, and 10,000
gray images of 28 × 28 pixels with ten classes that train, with 10,000 more that test.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from torch import Tensor

from worker.engine.data import Data
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec import calibration
from worker.spec.families.loss import Loss, Regression, RowTargets
from worker.spec.losses.cross_entropy import CrossEntropy
from worker.spec.run import RunSpec

HOOKS = ("row_scores", "evaluation_metrics")
EPOCHS = 2


class CalibrationOnly(CrossEntropy):
    """Cross-entropy that measures Brier score and ECE only."""

    @staticmethod
    def row_scores(part: Any, predicted: Tensor, y: Tensor, rows: int) -> tuple[Tensor, ...]:
        """Return statistic, Brier score and confidence of each row."""
        return CrossEntropy.statistic(part, predicted, y, None), *calibration.row_scores(predicted, y)

    @staticmethod
    def evaluation_metrics(scores: Sequence[Tensor], targets: RowTargets) -> Any:
        """Return Brier score and ECE."""
        hit, brier, confidence = scores
        return calibration.metrics(calibration.tally(brier, confidence, hit), targets.total)


@contextmanager
def hooks_of(other: type[Loss], loss: type[Loss]) -> Iterator[None]:
    """Let ``loss`` measure what ``other`` does."""
    own = {name: loss.__dict__[name] for name in HOOKS}
    for name in HOOKS:
        setattr(loss, name, other.__dict__[name])
    yield
    for name, hook in own.items():
        setattr(loss, name, hook)


def upload(home: Path, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], tested: int) -> dict[str, Any]:
    """Write rows as an upload whose last ``tested`` ones test, and return its dataset."""
    rows = {"train": slice(None, -tested), "test": slice(-tested, None)}
    content = save({f"{part}_{name}": values[rows[part]].copy() for part in rows
                    for name, values in (("x", x), ("y", y))})  # fmt: skip
    sha256 = hashlib.sha256(content).hexdigest()
    (home / "uploads").mkdir(exist_ok=True)
    (home / "uploads" / f"{sha256}.safetensors").write_bytes(content)
    classes = [str(c) for c in range(y.max() + 1)] if y.dtype == np.int64 else []
    facts = {"task": "classification" if classes else "regression", "shape": x.shape[1:], "classes": classes}
    known = {**facts, "rows_train": len(y) - tested, "rows_test": tested}
    return {"kind": "uploaded", "id": f"dataset_{sha256}", "content": known}


def datasets(home: Path) -> dict[str, dict[str, Any]]:
    """Return the datasets by name."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(2_000, 20)).astype(np.float32)
    images = rng.integers(0, 256, (20_000, 28, 28), dtype=np.uint8)
    label = {classes: rng.integers(0, classes, 20_000) for classes in (2, 10)}
    return {
        "table, 2 classes": upload(home, table, label[2][:2_000], 400),
        "table, 10 classes": upload(home, table, label[10][:2_000], 400),
        "table, numbers": upload(home, table, table.sum(1).astype(np.float64), 400),
        "images, 10 classes": upload(home, images, label[10], 10_000),
    }


def seconds(specs: list[RunSpec], data: Data) -> float:
    """Return the processor time of training and evaluating a stack."""
    stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], torch.device("cpu"))
    start = time.process_time()
    for _ in Training(stack, data).epochs():
        pass
    return time.process_time() - start


def ratios(dataset: dict[str, Any], home: Path, runs: int, rounds: int) -> tuple[float, float]:
    """Return the median ratios of processor times: with all scores over without the new ones, and over without any."""
    body = {"dataset": dataset, "model": {"kind": "mlp", "hidden": [64, 64]}, "optimizer": {"kind": "sgd", "lr": 0.01}}
    specs = [RunSpec.of({**body, "epochs": EPOCHS, "seed": seed}) for seed in range(runs)]
    data = Data(specs[0].dataset, home, torch.device("cpu"))
    of_classes = specs[0].dataset.task == "classification"
    loss, before = (CrossEntropy, CalibrationOnly) if of_classes else (Regression, Loss)
    seconds(specs, data)
    measured: list[tuple[float, float]] = []
    for _ in range(rounds):
        own = seconds(specs, data)
        with hooks_of(before, loss):
            without_new = seconds(specs, data)
        with hooks_of(Loss, loss):
            without_any = seconds(specs, data)
        measured.append((own / without_new, own / without_any))
    new, every = zip(*measured, strict=True)
    return statistics.median(new), statistics.median(every)


def main() -> None:
    """Print a line for each dataset and number of runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, dataset in datasets(Path(folder)).items():
            for runs in options.runs:
                new, every = ratios(dataset, Path(folder), runs, options.rounds)
                print(f"{name}, {runs} runs in a stack: new {new:.3f}, all {every:.3f}", flush=True)


if __name__ == "__main__":
    main()
