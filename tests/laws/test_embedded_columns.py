"""Laws 1 to 3 for networks on tables with embedded columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.strategies import parsed
from tests.laws.test_stack import laws_1_to_3
from worker.spec.keys import stack_key
from worker.spec.run import RunSpec

MODELS: list[dict[str, Any]] = [
    {"kind": "linear"},
    {"kind": "mlp", "hidden": [16]},
    {
        "kind": "sequential",
        "layers": [
            {"kind": "dense", "width": 8},
            {"kind": "batch_norm"},
            {"kind": "relu"},
            {"kind": "dropout", "p": 0.3},
        ],
    },
]
OPTIMIZERS: list[dict[str, Any]] = [{"kind": "adam", "lr": 0.01}, {"kind": "muon", "lr": 0.02}]
REGULARIZERS: list[list[dict[str, Any]]] = [[], [{"kind": "mixup", "alpha": 0.3}], [{"kind": "max_norm", "limit": 1.0}]]


@st.composite
def stacks(draw: st.DrawFn) -> list[RunSpec]:
    """Runs on the penguins that differ in seed, split and initialization, with vectors of a drawn length."""
    category = {"encode": "embedding", "width": draw(st.sampled_from([None, 1, 3]))}
    frame = {
        "model": draw(st.sampled_from(MODELS)),
        "optimizer": draw(st.sampled_from(OPTIMIZERS)),
        "regularizers": draw(st.sampled_from(REGULARIZERS)),
        "batch_size": draw(st.sampled_from([16, 45])),
        "epochs": 3,
    }
    dataset = {"kind": "penguins", "train_size": 90, "validation_size": 30, "columns": {"category": category}}
    seeds = draw(st.lists(st.tuples(st.integers(0, 2**53 - 1), st.integers(0, 2)), min_size=2, max_size=5))
    inits = [{"kind": "normal", "std": 0.1 * (split + 1)} for _, split in seeds]
    return [
        parsed(
            {
                **frame,
                "model": {**frame["model"], "init": init},
                "seed": seed,
                "dataset": {**dataset, "split_seed": split},
            }
        )
        for (seed, split), init in zip(seeds, inits, strict=True)
    ]


@pytest.mark.slow
def test_laws_1_to_3_hold_for_stacks_with_embedded_columns() -> None:
    def laws(specs: list[RunSpec]) -> None:
        assert len({stack_key(spec) for spec in specs}) == 1
        laws_1_to_3(specs, [0, len(specs) - 1], 2)

    few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    few(given(stacks())(laws))()
