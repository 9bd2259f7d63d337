"""The processor time of evaluating 10,000 rows, over that of training on 60,000; one thread, steps in between."""

from __future__ import annotations

from worker.engine.gemm_backend import gemm_backend_for, limit_instructions

limit_instructions()

import json  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import torch  # noqa: E402

from benchmarks.programs.measuring import BATCH, DATASETS, task  # noqa: E402
from benchmarks.programs.specs import spec  # noqa: E402
from benchmarks.running import FULL_ROWS  # noqa: E402
from worker.engine.data import Data  # noqa: E402
from worker.engine.evaluator import Evaluator  # noqa: E402
from worker.engine.progress import Progress  # noqa: E402
from worker.engine.stack import Member, Stack  # noqa: E402

STEPS, REPETITIONS = 60, 5


def main() -> None:
    work = task()
    changed = {"evaluate": True, "rows": 20_000, "hidden": work.hidden}
    specs = [spec(seed=seed, **changed) for seed in range(work.runs)]
    never = specs[0].evaluate.model_copy(update={"train": "never", "test": "never"})  # the validation rows alone
    specs = [one.model_copy(update={"evaluate": never}) for one in specs]
    gemm_backend_for(specs[0], threads=1, max_runs=max(work.runs, 2)).activate()
    device = torch.device("cpu")
    data = Data(specs[0].dataset, DATASETS, device)
    stack = Stack([Member(str(one.seed), one) for one in specs], device)
    evaluator = Evaluator(specs[0], data)
    progress = Progress(stack, data, 1)

    def train() -> None:
        progress.steps = 0
        for t in range(1, STEPS + 1):
            progress.train_step(t)
        progress.losses()

    train()
    evaluator.evaluate(stack)
    shares = []
    for _ in range(REPETITIONS):
        training = processor_seconds(train) / (STEPS * BATCH) * FULL_ROWS
        shares.append(processor_seconds(lambda: evaluator.evaluate(stack)) / training)
    print(json.dumps({"share": statistics.median(shares)}))


def processor_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of ``call``."""
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
