"""Fitwell's engine: the runs as one stack, on the route that its probe found; evaluation off, as in the peers."""

from __future__ import annotations

import json
from pathlib import Path

from worker.engine.routes import limit_instructions, route_for

limit_instructions()

import torch  # noqa: E402

from benchmarks.programs.measuring import BATCH, LR, MEAN, STD, report, task  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.neighbours import Neighbours, common_directory  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402
from worker.engine.training import Training  # noqa: E402
from worker.spec.run import RunSpec  # noqa: E402


def main() -> None:
    wanted = task()
    specs = [
        RunSpec.model_validate_json(
            json.dumps(
                {
                    "dataset": {"kind": "fashion_mnist", "validation_size": 0, "normalize": {"mean": MEAN, "std": STD}},
                    "model": {"kind": "mlp", "hidden": wanted.hidden},
                    "optimizer": {"kind": "sgd", "lr": LR},
                    "epochs": wanted.epochs + 1,
                    "batch_size": BATCH,
                    "seed": seed,
                    "evaluate": {"train": "never", "test": "never"},
                }
            )
        )
        for seed in range(wanted.runs)
    ]
    route = route_for(specs[0], threads=wanted.threads, most_runs=max(wanted.runs, 2))
    route.enter()
    device = torch.device("cpu")
    data = Data(specs[0].dataset, Path("~/.local/share/fitwell/datasets").expanduser(), device)
    stack = Stack([Member(str(spec.seed), spec) for spec in specs], device)
    neighbours = Neighbours(common_directory())
    epochs = Training(stack, data, pace=route.pace(neighbours.count)).epochs()

    def epoch() -> float:
        return next(epochs)[0].metrics["train.loss"]

    with neighbours.at_work():
        report(epoch, wanted, route=f"{route.library}, {route.threads} threads")


if __name__ == "__main__":
    main()
