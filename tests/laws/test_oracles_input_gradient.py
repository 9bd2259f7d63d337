"""Law 6: the penalty on the gradient at the inputs, against autograd's gradient of a gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import dataset_body, parsed
from worker.engine.training_metrics import penalties

PENALTY = {"kind": "input_gradient", "strength": 0.05}
MODELS = [
    {"kind": "linear"},
    *({"kind": "mlp", "hidden": [20, 12], "activation": a} for a in ("relu", "tanh", "sigmoid")),
]


def projections(draws: Any) -> Tensor:
    """Each row's random vector of length √10, (N, 10)."""
    v: Tensor = draws.normal("projection", 10)[0].double()
    lengths: Tensor = v.square().sum(1, keepdim=True).sqrt()
    return v / lengths * math.sqrt(10)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.get("activation", "linear"))
@pytest.mark.parametrize("dropout", [False, True])
def test_step_equals_autograds_gradient_of_a_gradient(model: dict[str, Any], dropout: bool) -> None:
    dropped = [{"kind": "dropout", "p": 0.5}] if dropout and model["kind"] == "mlp" else []
    body = {**SMALL, "model": model, "regularizers": [PENALTY, *dropped], "optimizer": {"kind": "sgd", "lr": 0.5}}
    stack, progress = step_of(body)
    w = {name: tensor.double().clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0, :32]
    x = progress.data.batch(chosen[None])[0].double().requires_grad_()
    progress.train_step(1)
    stack.seek(1, 0, 32)
    draws = {draws.purpose.split("/")[1]: draws for _, draws in stack.regularizers}
    h, depth = x, len(w) // 2
    for layer in range(depth):
        h = F.linear(h, w[f"layers.{layer}.weight"], w[f"layers.{layer}.bias"])
        if layer < depth - 1:
            h = getattr(torch, str(model["activation"]))(h)
            if dropped:
                h = h * (draws["dropout"].int16(f"layer{layer}", h.shape[1])[0] >= 0) * 2
    (jacobian,) = torch.autograd.grad((projections(draws["input_gradient"]) * h).sum(), x, create_graph=True)
    objective = F.cross_entropy(h, progress.data.y[chosen]) + 0.05 / 2 * jacobian.square().sum(1).mean()
    gradients = torch.autograd.grad(objective, list(w.values()))
    for gradient, (name, start) in zip(gradients, w.items(), strict=True):
        step = start.detach() - stack.tensors(0)[name].double()
        torch.testing.assert_close(step, 0.5 * gradient, rtol=1e-3, atol=1e-6)


def test_recorded_penalty_estimates_the_norm_of_the_jacobian() -> None:
    stack, progress = step_of({**SMALL, "regularizers": [PENALTY], "optimizer": {"kind": "sgd", "lr": 0.1}})
    w = stack.tensors(0)
    rows = next(progress.data.training(96).chunks(stack.members, 96)).x.view(96, -1).clone().requires_grad_()
    h = rows
    for layer in range(3):
        h = F.linear(h, w[f"layers.{layer}.weight"], w[f"layers.{layer}.bias"])
        h = h.relu() if layer < 2 else h
    of_outputs = [torch.autograd.grad(h[:, c].sum(), rows, retain_graph=True)[0] for c in range(10)]
    jacobians = torch.stack(of_outputs, 1)
    stack.seek(1, 0, 96)
    ((_, draws),) = stack.regularizers
    projected = torch.einsum("nc,nci->ni", projections(draws).float(), jacobians).square().sum(1).mean()
    recorded = penalties(progress)["input_gradient"][0].float()
    torch.testing.assert_close(recorded, 0.05 / 2 * projected, rtol=1e-5, atol=0)
    assert abs(recorded / (0.05 / 2 * jacobians.square().sum((1, 2)).mean()) - 1) < 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"kind": "cnn"}}, "needs a chain of dense layers"),
        ({"regularizers": [PENALTY, {"kind": "dropout", "form": "classic"}]}, "does not work with the classic form"),
        ({"regularizers": [PENALTY, {"kind": "manifold_mixup"}]}, "'manifold_mixup' mixes rows"),
    ],
)
def test_runs_in_which_no_row_has_a_gradient_of_its_own_are_refused(changes: dict[str, Any], message: str) -> None:
    body = {
        **SMALL,
        "dataset": dataset_body("digits"),
        "regularizers": [PENALTY],
        "optimizer": {"kind": "sgd", "lr": 0.1},
    }
    ((place, objection),) = parsed({**body, **changes}).objections()
    assert place == ("regularizers", 0)
    assert message in objection.message
