"""Law 1 for products of rounded numbers: a probe on one draw of numbers must speak for all of them."""

from __future__ import annotations

import pytest
import torch

from tests.laws.strategies import parsed
from tests.laws.test_stack import law_1
from tests.laws.training import reproducible, use_gemm_backend
from worker.engine.gemm_backend import Shapes, Trial

BODY = {
    "dataset": {"kind": "mnist1d", "train_size": 47, "validation_size": 30, "imbalance": 5.0},
    "model": {"kind": "linear"},
    "optimizer": {"kind": "adamw", "lr": 0.0005, "beta1": 0.45},
    "schedule": {"kind": "cosine", "final": 0.0},
    "epochs": 3,
    "batch_size": 7,
    "seed": 22185,
    "precision": "bfloat16",
}
RUNS, STACKED = 1600, 8


@pytest.mark.slow
def test_bfloat16_run_has_equal_bits_alone_and_stacked() -> None:
    mate = {**BODY, "seed": 0, "optimizer": {**BODY["optimizer"], "lr": 0.001}, "schedule": {"kind": "constant"}}  # type: ignore[dict-item] # a body of JSON
    specs = [parsed(mate), parsed(BODY)]
    assert reproducible(specs[0])
    law_1(specs, [0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("model", [{"kind": "linear"}, {"kind": "mlp", "hidden": [64, 64]}], ids=["linear", "mlp"])
@pytest.mark.parametrize("rows", [5, 7, 8])
def test_one_draw_of_the_probe_represents_many(model: dict[str, object], rows: int) -> None:
    """Where sums were rounded, one product in a thousand had other bits in a stack, and the probe saw none of them."""
    spec = parsed({**BODY, "model": model, "batch_size": rows})
    if not reproducible(spec):
        return
    trial = Trial(Shapes.of(spec), rows, RUNS)
    for threads in (1, 2):
        use_gemm_backend(spec, threads=threads)
        for first in range(0, RUNS, STACKED):
            together = trial.run(first, first + STACKED)
            for i in range(STACKED):
                for one, several in zip(trial.run(first + i, first + i + 1), together, strict=True):
                    assert torch.equal(one[0], several[i])
