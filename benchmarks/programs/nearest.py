"""The 50 nearest of FashionMNIST's 60,000 training rows: by Fitwell, by scikit-learn, and Fitwell's whole run."""

from __future__ import annotations

from worker.engine.gemm_backend import gemm_backend_for, limit_instructions

limit_instructions()

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from sklearn.neighbors import NearestNeighbors  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from benchmarks.programs.measuring import DATASETS, PIXELS  # noqa: E402
from worker.engine.knn import data_for  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402
from worker.engine.training import Training  # noqa: E402
from worker.spec.datasets.fashion_mnist import FashionMNIST  # noqa: E402
from worker.spec.nearest import Memory  # noqa: E402
from worker.spec.run import RunSpec  # noqa: E402

MOST = 50
BODY = {
    "dataset": {"kind": "fashion_mnist", "validation_size": 0},
    "model": {"kind": "knn"},
    "epochs": MOST,
}
SPEC = RunSpec.model_validate_json(json.dumps(BODY))


def run() -> Callable[[], None]:
    """Training and test error for every k: neighbours of 10,000 training and 10,000 test rows, and 50 votes."""
    device = torch.device("cpu")
    data = data_for([SPEC.dataset], SPEC.model, DATASETS, device)
    stack = Stack([Member("a", SPEC)], device)

    def work() -> None:
        assert len(list(Training(stack, data).epochs())) == MOST

    return work


def search() -> Callable[[], None]:
    """The neighbours of the test rows."""
    arrays = FashionMNIST.load(DATASETS)
    x, q = (torch.from_numpy(rows.reshape(-1, PIXELS).copy()) for rows in (arrays.train_x, arrays.test_x))

    def work() -> None:
        memory = Memory(x)
        torch.cat([memory.nearest(block, MOST) for block in torch.split(q, memory.block_rows)])

    return work


def scikit_learn(dtype: type[np.floating]) -> Callable[[], None]:
    """The same neighbours, from rows of this type."""
    arrays = FashionMNIST.load(DATASETS)
    x, q = (rows.reshape(-1, PIXELS).astype(dtype) for rows in (arrays.train_x, arrays.test_x))

    def work() -> None:
        NearestNeighbors(n_neighbors=MOST, algorithm="brute").fit(x).kneighbors(q, return_distance=False)

    return work


WORKS: dict[str, Callable[[], Callable[[], None]]] = {
    "run": run,
    "search": search,
    "scikit-learn-32": lambda: scikit_learn(np.float32),
    "scikit-learn-64": lambda: scikit_learn(np.float64),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", choices=WORKS, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    work = WORKS[arguments.work]()
    gemm_backend_for(SPEC, threads=arguments.threads, max_runs=2).activate()
    with threadpool_limits(arguments.threads):
        start, computed = time.perf_counter(), time.process_time()
        work()
        times = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - computed}
    print(json.dumps({**times, "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
