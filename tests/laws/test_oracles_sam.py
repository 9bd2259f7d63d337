"""Sharpness-aware minimization against its formula, from gradients of plain steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import MAX_RUNS, parsed
from tests.laws.test_stack import laws_1_to_3
from tests.laws.training import train
from worker.spec.keys import stack_key

BODY: dict[str, Any] = {
    **SMALL,
    "model": {"kind": "cnn", "channels": [4], "norm": "batch", "hidden": [8]},
    "optimizer": {"kind": "sgd", "lr": 0.5},
    "regularizers": [{"kind": "dropout", "p": 0.3}, {"kind": "noise", "std": 0.1}],
}
PENALTY = {"kind": "l2", "strength": 0.1}


def sam(rho: float) -> dict[str, Any]:
    return {"kind": "sam", "rho": rho, "optimizer": BODY["optimizer"]}


@pytest.mark.parametrize("batch_size", [32, "full"])
def test_sam_steps_by_the_gradient_uphill(batch_size: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.progress.MICRO_ROWS", 48)
    body = {**BODY, "batch_size": batch_size}
    here, progress = step_of(body)
    start = here.weights.clone()
    progress.train_step(1)
    uphill, climbing = step_of(body)
    norm = sum(g.square().sum() for g in here.gradients.values()) ** 0.5
    uphill.weights.add_(here.gradient, alpha=0.3 / float(norm))
    climbing.train_step(1)
    both = step_of({**body, "optimizer": sam(0.3), "regularizers": [*BODY["regularizers"], PENALTY]})
    both[1].train_step(1)
    decay = step_of({**body, "regularizers": [PENALTY]})[0]
    for w, _ in decay.matrices:
        w.mul_(0.5 * 0.1)
    for vector, _ in decay.vectors:
        vector.zero_()
    expected = start - 0.5 * uphill.gradient - decay.weights
    torch.testing.assert_close(both[0].weights, expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(here.gradient, uphill.gradient)
    assert torch.equal(both[0].buffers, here.buffers)
    assert torch.equal(torch.stack(both[1].losses()), torch.stack(progress.losses()))


def test_laws_hold_for_runs_whose_distances_differ() -> None:
    bodies = [{**BODY, "optimizer": sam(rho), "seed": i, "epochs": 2} for i, rho in enumerate((0.0, 0.05, 0.5))]
    specs = [parsed(body) for body in bodies]
    assert len({stack_key(spec) for spec in specs}) == 1
    whole = laws_1_to_3(specs, range(3), 1)
    (plain,) = train([parsed({**bodies[0], "optimizer": BODY["optimizer"]})], most=MAX_RUNS).values()
    assert [digest for _, _, digest in plain] == [digest for _, _, digest in whole["0"]]


@pytest.mark.parametrize("inside", [sam(0.1), {"kind": "schedule_free", "lr": 0.1}])
def test_optimizers_that_do_not_work_inside_another_are_refused(inside: dict[str, Any]) -> None:
    for outer in ("sam", "lookahead"):
        spec = parsed({**BODY, "optimizer": {"kind": outer, "optimizer": inside}})
        ((place, objection),) = spec.objections()
        assert place == ("optimizer", "optimizer")
        assert "does not work inside" in objection.message
