"""How long a user waits: from sending a POST to a worker that has trained before until the first epoch arrives."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from typing import Any

import fitwell
from fitwell.local import LocalServer, free_port

RUNS = 5


def wait(client: fitwell.Client, **changed: Any) -> float:
    """Seconds from the POST to the first epoch that a stream brings."""
    body: dict[str, Any] = {"dataset": "digits", "optimizer": {"kind": "sgd", "lr": 0.1}, "epochs": 1, **changed}
    start = time.perf_counter()
    run = client.runs.create(**body)
    next(event for event in run.stream() if event.type == "epoch")
    seconds = time.perf_counter() - start
    run.wait()
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fitwell-") as home:
        settings = {"FITWELL_DATA_DIR": home, "FITWELL_LOG_LEVEL": "ERROR"}
        stack = LocalServer(settings, host="127.0.0.1", port=free_port(), workers=1, quiet=True)
        stack.start()
        try:
            client = fitwell.Client(stack.url)
            usual = {"kind": "mlp", "hidden": [128, 128]}
            cold = wait(client, model=usual, seed=0)
            warm = [wait(client, model=usual, seed=seed) for seed in range(1, RUNS + 1)]
            new = [wait(client, model={"kind": "mlp", "hidden": [100 + i, 50]}) for i in range(RUNS)]
        finally:
            stack.stop()
    print(json.dumps({"seconds": statistics.median(warm), "new_shapes": statistics.median(new), "cold": cold}))


if __name__ == "__main__":
    main()
