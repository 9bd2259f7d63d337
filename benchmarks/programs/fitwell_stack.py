"""Fitwell's engine: the runs as one stack, on the route that its probe found."""

from __future__ import annotations

from worker.engine.gemm_backend import limit_instructions, route_for

limit_instructions()

import torch  # noqa: E402

from benchmarks.programs.measuring import DATASETS, report, task  # noqa: E402
from benchmarks.programs.specs import spec  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.process_registry import Neighbours, common_directory  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402
from worker.engine.training import Training  # noqa: E402


def main() -> None:
    wanted = task()
    specs = [
        spec(
            seed=seed,
            model=wanted.model,
            hidden=wanted.hidden,
            rows=wanted.rows,
            epochs=wanted.epochs + 1,
            augment=wanted.augment,
            evaluate=wanted.evaluate,
        )
        for seed in range(wanted.runs)
    ]
    route = route_for(specs[0], threads=wanted.threads, most_runs=max(wanted.runs, 2))
    route.enter()
    device = torch.device("cpu")
    data = Data(specs[0].dataset, DATASETS, device)
    stack = Stack([Member(str(spec.seed), spec) for spec in specs], device)
    neighbours = Neighbours(common_directory())
    epochs = Training(stack, data, pace=route.pace(neighbours.count)).epochs()

    def epoch() -> float:
        return next(epochs)[0].metrics["train.loss"]

    with neighbours.at_work():
        report(epoch, wanted, route=f"{route.library}, {route.threads} threads")


if __name__ == "__main__":
    main()
