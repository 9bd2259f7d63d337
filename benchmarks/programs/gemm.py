"""The time of the matrix products alone, a bound for every way to train.

``peak`` is the rate of products of 2048 × 2048, ``own`` that of the products of an MLP's step, each at its own shape:
forward, gradient of the weights, gradient of the inputs (but for the first layer, which needs none).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable

from worker.engine.gemm_backend import limit_instructions

limit_instructions()

import torch  # noqa: E402

from benchmarks.programs.measuring import BATCH, CLASSES, PIXELS, task  # noqa: E402

SECONDS = 1.0
"""How long a product is repeated."""


def rate(product: Callable[[], object], flops: int) -> float:
    """Floating-point operations a second."""
    for _ in range(3):
        product()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        product()
        count += 1
    return flops * count / (time.perf_counter() - start)


def main() -> None:
    options = task()
    torch.set_num_threads(options.threads)
    a, b, c = (torch.rand(2048, 2048) for _ in range(3))
    peak = rate(lambda: torch.mm(a, b, out=c), 2 * 2048**3)
    seconds, flops = 0.0, 0
    for i, (inside, outside) in enumerate(itertools.pairwise((PIXELS, *options.hidden, CLASSES))):
        x, w, g = torch.rand(BATCH, inside), torch.rand(outside, inside), torch.rand(BATCH, outside)
        y, dw, dx = torch.empty(BATCH, outside), torch.empty(outside, inside), torch.empty(BATCH, inside)
        products: list[Callable[[], object]] = [
            lambda x=x, w=w, y=y: torch.mm(x, w.t(), out=y),  # type: ignore[misc]
            lambda g=g, x=x, dw=dw: torch.mm(g.t(), x, out=dw),  # type: ignore[misc]
        ]
        if i:
            products.append(lambda g=g, w=w, dx=dx: torch.mm(g, w, out=dx))  # type: ignore[misc]
        for product in products:
            work = 2 * BATCH * inside * outside
            seconds += work / rate(product, work)
            flops += work
    print(json.dumps({"peak": peak, "own": flops / seconds, "flops_per_row": flops / BATCH}))


if __name__ == "__main__":
    main()
