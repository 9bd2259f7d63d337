"""Objections name what would work, and nothing that follows from another objection."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import spec

MISFIT = {"kind": "sequential", "layers": [{"kind": "max_pool", "size": 3, "padding": 2}]}
HIDDEN: list[dict[str, Any]] = [
    {"kind": "dropout"},
    {"kind": "kl_sparsity", "strength": 0.1},
    {"kind": "activity_l1", "strength": 0.1},
    {"kind": "manifold_mixup"},
    {"kind": "input_gradient", "strength": 0.1},
]


def test_layer_that_does_not_fit_is_the_only_objection() -> None:
    ((place, objection),) = spec(model=MISFIT, regularizers=HIDDEN).objections()
    assert place == ("model", "layers", "0", "padding")
    assert objection.message.startswith("padding 2 is more than half of size 3")
    assert objection.allowed == [0, 1]


@pytest.mark.parametrize(
    ("dataset", "loss", "fitting"),
    [("auto_mpg", "focal", ["absolute", "huber", "squared"]), ("digits", "huber", ["cross_entropy", "focal"])],
)
def test_loss_of_the_other_task_is_refused_with_those_that_fit(dataset: str, loss: str, fitting: list[str]) -> None:
    ((place, objection),) = spec(dataset={"kind": dataset}, loss={"kind": loss}).objections()
    assert (place, objection.allowed) == (("loss",), fitting)
    assert all(repr(kind) in objection.message for kind in fitting)
