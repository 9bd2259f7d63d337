"""Fitwell's engine: the runs as one stack, on the backend that its probe found."""

from __future__ import annotations

from worker.engine.gemm_backend import gemm_backend_for, limit_instructions

limit_instructions()

import tempfile  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402

from benchmarks import color_images  # noqa: E402
from benchmarks.programs.measuring import DATASETS, Task, report, task  # noqa: E402
from benchmarks.programs.specs import spec  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.process_registry import ProcessRegistry, common_directory  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402
from worker.engine.training import Training  # noqa: E402


def main() -> None:
    work = task()
    with tempfile.TemporaryDirectory() as folder:
        home, dataset = DATASETS, None
        if work.model == "resnet20":
            home = Path(folder)
            dataset = color_images.color_images(home, work.rows - color_images.HELD_OUT)  # all are trained on
        train(work, home, dataset)


def train(work: Task, home: Path, dataset: Mapping[str, Any] | None) -> None:
    """Train on ``dataset`` in ``home``, or on FashionMNIST, and report the time."""
    specs = [
        spec(
            seed=seed,
            model=work.model,
            hidden=work.hidden,
            rows=work.rows,
            epochs=work.epochs + 1,
            augment=work.augment,
            evaluate=work.evaluate,
            dataset=dataset,
        )
        for seed in range(work.runs)
    ]
    backend = gemm_backend_for(specs[0], threads=work.threads, max_runs=max(work.runs, 2))
    backend.activate()
    device = torch.device("cpu")
    data = Data(specs[0].dataset, home, device)
    stack = Stack([Member(str(spec.seed), spec) for spec in specs], device)
    processes = ProcessRegistry(common_directory())
    epochs = Training(stack, data, tuner=backend.thread_tuner(processes.count)).epochs()

    def epoch() -> float:
        return next(epochs)[0].metrics["train.loss"]

    with processes.at_work():
        report(epoch, work, backend=f"{backend.library}, {backend.threads} threads")


if __name__ == "__main__":
    main()
