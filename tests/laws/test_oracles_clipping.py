"""Gradient clipping against torch, and the laws for runs whose bounds differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import parsed
from tests.laws.test_stack import laws_1_to_3
from worker.spec.keys import reuse_key, spec_hash, stack_key

BODY: dict[str, Any] = {
    **SMALL,
    "optimizer": {"kind": "sgd", "lr": 1.0},
    "regularizers": [{"kind": "l2", "strength": 0.05}],
}


def clipped(kind: str, bound: float) -> dict[str, Any]:
    return {**BODY, "gradient_clipping": {"kind": kind, "max": bound}}


@pytest.mark.parametrize(("kind", "bound"), [("norm", 0.1), ("norm", 1e3), ("value", 0.01), ("value", 1e3)], ids=str)
def test_clipped_step_matches_torch(kind: str, bound: float) -> None:
    plain, progress = step_of(BODY)
    progress.train_step(1)
    weights = [torch.zeros_like(g[0]).requires_grad_() for g in plain.gradients.values()]
    for w, g in zip(weights, plain.gradients.values(), strict=True):
        w.grad = g[0].clone()
    clip = torch.nn.utils.clip_grad_norm_ if kind == "norm" else torch.nn.utils.clip_grad_value_
    clip(weights, bound)
    stack, progress = step_of(clipped(kind, bound))
    before = {name: view[0].clone() for name, view in stack.parameters.items()}
    progress.train_step(1)
    for (name, view), w in zip(stack.parameters.items(), weights, strict=True):
        assert w.grad is not None
        torch.testing.assert_close(before[name] - view[0], w.grad, rtol=1e-5, atol=1e-7)
    assert torch.equal(stack.weights, plain.weights) == (bound == 1e3)


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_laws_hold_for_runs_whose_bounds_differ(kind: str) -> None:
    specs = [parsed({**clipped(kind, bound), "epochs": 2, "seed": i}) for i, bound in enumerate((0.02, 0.3, 5.0))]
    assert len({stack_key(spec) for spec in specs}) == 1
    laws_1_to_3(specs, range(3), 1)


def test_only_clipping_that_is_set_changes_the_keys() -> None:
    plain, unset = parsed(BODY), parsed({**BODY, "gradient_clipping": None})
    one, other, kind = (parsed(clipped(*options)) for options in (("norm", 0.5), ("norm", 0.6), ("value", 0.5)))
    assert (spec_hash(plain), stack_key(plain)) == (spec_hash(unset), stack_key(unset))
    assert len({reuse_key(spec) for spec in (plain, one, other, kind)}) == 4
    assert stack_key(one) == stack_key(other)
    assert len({stack_key(spec) for spec in (plain, one, kind)}) == 3


def test_model_that_is_not_trained_refuses_clipping() -> None:
    body = {**BODY, "model": {"kind": "knn"}, "optimizer": None, "regularizers": [], "batch_size": 64}
    spec = parsed({**body, "gradient_clipping": {"kind": "norm", "max": 1.0}})
    assert ("gradient_clipping",) in {place for place, _ in spec.objections()}
