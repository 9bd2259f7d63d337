"""The cost of Brier score and ECE in every epoch: the processor time of epochs with them over that without.

python -m benchmarks.calibration [--runs 32] [--epochs 4] [--rounds 7]

Both kinds of epochs are interleaved in one process on one thread; the ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from worker.engine.data import Data
from worker.engine.stack import Member, Stack
from worker.engine.training import Training
from worker.spec.families.classification_loss import ClassificationLoss
from worker.spec.families.loss import Loss
from worker.spec.run import RunSpec

HOOKS = ("row_scores", "evaluation_metrics")
MODELS: dict[str, dict[str, Any]] = {
    "mlp 128-128": {"kind": "mlp", "hidden": [128, 128]},
    "mlp 32": {"kind": "mlp", "hidden": [32]},
}


def seconds(specs: list[RunSpec], data: Data) -> float:
    """Return the processor time of training and evaluating a stack."""
    stack = Stack([Member(str(i), spec) for i, spec in enumerate(specs)], torch.device("cpu"))
    start = time.process_time()
    for _ in Training(stack, data).epochs():
        pass
    return time.process_time() - start


def ratio(model: dict[str, Any], runs: int, epochs: int, rounds: int) -> float:
    """Return the median ratio of processor times, with calibration over without."""
    common = {"dataset": {"kind": "digits"}, "optimizer": {"kind": "sgd", "lr": 0.1}, "epochs": epochs}
    specs = [RunSpec.of({**common, "model": model, "seed": seed}) for seed in range(runs)]
    data = Data(specs[0].dataset, Path(), torch.device("cpu"))
    own = {name: ClassificationLoss.__dict__[name] for name in HOOKS}
    seconds(specs, data)
    ratios = []
    for _ in range(rounds):
        measured = seconds(specs, data)
        for name in HOOKS:
            setattr(ClassificationLoss, name, Loss.__dict__[name])
        ratios.append(measured / seconds(specs, data))
        for name, hook in own.items():
            setattr(ClassificationLoss, name, hook)
    return statistics.median(ratios)


def main() -> None:
    """Print a line for each model and number of runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, model in MODELS.items():
        for runs in options.runs:
            measured = ratio(model, runs, options.epochs, options.rounds)
            print(f"digits, {name}, {runs} runs in a stack: {measured:.3f}")


if __name__ == "__main__":
    main()
