"""A study of small runs, evaluated after every epoch on 20,000 rows: through HTTP, or by the bare engine.

Through HTTP there are a database, checkpoints, leases and two workers; the time is that from a run's start to its end,
as the server tells them, on average over the runs. The bare engine (``--bare``) loads the data, builds the stack of one
of two workers, trains and evaluates it in this process.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fitwell
from benchmarks.programs.measuring import DATASETS
from benchmarks.programs.specs import body, spec
from fitwell.local import LocalServer, free_port, module_command

RUNS, WORKERS, EPOCHS, ROWS = 16, 2, 10, 20_000


def through_http() -> float:
    """Seconds from a run's start to its end."""
    with tempfile.TemporaryDirectory(prefix="fitwell-") as home:
        if DATASETS.exists():
            (Path(home) / "datasets").symlink_to(DATASETS)
        settings = {"FITWELL_DATA_DIR": home, "FITWELL_STACK_LIMIT": str(RUNS // WORKERS), "FITWELL_LOG_LEVEL": "ERROR"}
        port = free_port()
        stack = LocalServer(settings, host="127.0.0.1", port=port, workers=0, quiet=True)
        stack.start()
        client = fitwell.Client(stack.url)
        try:
            runs = [
                client.runs.create(**body(seed=seed, rows=ROWS, epochs=EPOCHS, evaluate=True)) for seed in range(RUNS)
            ]
            environment = {**os.environ, **settings}
            workers = [subprocess.Popen(module_command("worker"), env=environment) for _ in range(WORKERS)]
            done = [run.wait() for run in runs]
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()
        finally:
            stack.stop()
    return statistics.mean(_at(run.finished_at) - _at(run.started_at) for run in done)


def _at(time: str | None) -> float:
    assert time is not None
    return dt.datetime.fromisoformat(time).timestamp()


def bare() -> float:
    """Return the seconds that the engine takes for one worker's share, from the signal on."""
    from worker.engine.gemm_backend import gemm_backend_for, limit_instructions

    limit_instructions()
    import torch

    from worker.engine.data import Data
    from worker.engine.process_registry import ProcessRegistry, common_directory
    from worker.engine.stack import Member, Stack
    from worker.engine.training import Training

    specs = [spec(seed=seed, rows=ROWS, epochs=EPOCHS, evaluate=True) for seed in range(RUNS // WORKERS)]
    backend = gemm_backend_for(specs[0], threads=2, max_runs=16)
    backend.activate()
    print("warm", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    processes = ProcessRegistry(common_directory())
    with processes.at_work():
        device = torch.device("cpu")
        data = Data(specs[0].dataset, DATASETS, device)
        stack = Stack([Member(str(spec.seed), spec) for spec in specs], device)
        for _ in Training(stack, data, tuner=backend.thread_tuner(processes.count)).epochs():
            pass
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps({"seconds": bare() if "--bare" in sys.argv else through_http()}))
