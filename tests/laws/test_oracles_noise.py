"""Law 6: penalties on activations and outputs, and noise on gradients and weights, against autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from tests.laws.oracles import SMALL, step_of
from worker.engine.stack import Stack

Weights = Mapping[str, Tensor]
SGD = {"kind": "sgd", "lr": 0.5}
STRENGTH = 0.3


def network(weights: Weights, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities of the network of ``SMALL``, and the activations of its hidden layers."""
    hidden = []
    for layer in range(2):
        x = F.linear(x, weights[f"layers.{layer}.weight"], weights[f"layers.{layer}.bias"]).tanh()
        hidden.append(x)
    return F.linear(x, weights["layers.2.weight"], weights["layers.2.bias"]).log_softmax(1), hidden


def loss_of(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
    return F.nll_loss(network(weights, x)[0], y)


def stepped(
    regularizers: list[dict[str, Any]],
    objective: Callable[[Weights, Tensor, Tensor], Tensor],
    change: Callable[[Stack, Weights], Weights] = lambda stack, weights: weights,
    rows: int = 96,
) -> None:
    """Compare a step of the engine with autograd's on ``objective`` of the weights after ``change``."""
    body = {
        **SMALL,
        "model": {"kind": "mlp", "hidden": [20, 12], "activation": "tanh"},
        "dataset": {"kind": "digits", "train_size": rows, "validation_size": 30},
        "batch_size": "full",
        "regularizers": regularizers,
        "optimizer": SGD,
    }
    stack, progress = step_of(body)
    before = {name: tensor.double().clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
    chosen = progress.batches.order[0]
    x, y = progress.data.batch(chosen[None])[0].double(), progress.data.y[chosen]
    progress.train_step(1)
    stack.seek(1, 0, rows)
    value = objective(change(stack, before), x, y)
    for gradient, (name, start) in zip(torch.autograd.grad(value, list(before.values())), before.items(), strict=True):
        after = stack.tensors(0)[name].double()
        torch.testing.assert_close(start.detach() - after, 0.5 * gradient, rtol=1e-3, atol=1e-6)


PENALTIES: dict[str, Callable[[Tensor, list[Tensor]], Tensor]] = {
    "activity_l1": lambda log_p, hidden: sum((a.abs().sum(1).mean() for a in hidden), log_p.new_zeros(())),
    "activity_l2": lambda log_p, hidden: sum((a.square().sum(1).mean() / 2 for a in hidden), log_p.new_zeros(())),
    "confidence_penalty": lambda log_p, hidden: (log_p.exp() * log_p).sum(1).mean(),
}


@pytest.mark.parametrize("kind", sorted(PENALTIES))
@pytest.mark.parametrize("rows", [96, 1100])  # more than go through the network at once
def test_penalty_on_activations_or_outputs_equals_autograd(kind: str, rows: int) -> None:
    def objective(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
        return loss_of(weights, x, y) + STRENGTH * PENALTIES[kind](*network(weights, x))

    stepped([{"kind": kind, "strength": STRENGTH}], objective, rows=rows)


def test_recorded_penalties_are_those_of_the_formulas() -> None:
    from worker.engine.training_metrics import penalties

    model = {"kind": "mlp", "hidden": [20, 12], "activation": "tanh"}
    parts = [{"kind": kind, "strength": STRENGTH} for kind in PENALTIES]
    stack, progress = step_of({**SMALL, "model": model, "regularizers": parts, "optimizer": SGD})
    x = next(progress.data.training(96).chunks(stack.members, 96)).x.view(96, -1)
    outputs = network(stack.tensors(0), x)
    for kind, value in penalties(progress).items():
        torch.testing.assert_close(value[0].float(), STRENGTH * PENALTIES[kind](*outputs), rtol=1e-5, atol=0)


def draws_of(stack: Stack) -> Any:
    ((_, draws),) = stack.regularizers
    return draws


def test_gradient_noise_has_the_variance_of_its_step() -> None:
    body = {**SMALL, "optimizer": SGD}
    noise = {"kind": "gradient_noise", "strength": 0.04, "decay": 0.55}
    (plain, quiet), (noisy, progress) = step_of(body), step_of({**body, "regularizers": [noise]})
    quiet.train_step(7)
    progress.train_step(7)
    deviation = (0.04 / 8**0.55) ** 0.5
    noisy.seek(1, 0, 1)
    for name, tensor in noisy.tensors(0).items():
        drawn = draws_of(noisy).batch_normal(name, tensor.numel()).view(tensor.shape)
        torch.testing.assert_close(plain.tensors(0)[name] - tensor, 0.5 * deviation * drawn, rtol=1e-3, atol=1e-6)
    drawn = draws_of(noisy).batch_normal("layers.0.weight", 20 * 64)
    noisy.seek(1, 32, 1)
    later = draws_of(noisy).batch_normal("layers.0.weight", 20 * 64)
    assert abs(drawn.mean()) < 0.1
    assert abs(drawn.std() - 1) < 0.1
    assert abs((drawn * later).mean()) < 0.1


def test_weight_noise_steps_by_the_gradient_at_the_noisy_weights() -> None:
    def noisy(stack: Stack, weights: Weights) -> Weights:
        return {
            name: w + 0.1 * draws_of(stack).batch_normal(name, w.numel()).view(w.shape) if w.dim() == 2 else w
            for name, w in weights.items()
        }

    stepped([{"kind": "weight_noise", "std": 0.1}], loss_of, noisy)


def test_drop_connect_steps_by_the_gradient_of_the_weights_that_are_left() -> None:
    def dropped(stack: Stack, weights: Weights) -> Weights:
        left = {
            name: draws_of(stack).batch_int16(name, w.numel()).view(w.shape) >= 0.25 * 65536 - 32768
            for name, w in weights.items()
            if w.dim() == 2
        }
        assert abs(left["layers.0.weight"].float().mean() - 0.75) < 0.05
        return {name: w * left[name] / 0.75 if name in left else w for name, w in weights.items()}

    stepped([{"kind": "drop_connect", "p": 0.25}], loss_of, dropped)
    stepped([{"kind": "drop_connect", "p": 0.25}], loss_of, dropped, rows=1100)


@pytest.mark.parametrize("kind", ["activity_l1", "activity_l2"])
def test_penalty_on_activations_refuses_a_model_without_hidden_layers(kind: str) -> None:
    from tests.laws.strategies import parsed

    parts = [{"kind": kind, "strength": 0.1}]
    body = {**SMALL, "model": {"kind": "linear"}, "optimizer": SGD, "regularizers": parts}
    ((place, objection),) = parsed(body).objections()
    assert place == ("regularizers", 0)
    assert "needs a hidden layer, and the model 'linear' has none; use 'mlp'" in objection.message


@pytest.mark.parametrize("depth", [1, 2])
def test_manifold_mixup_equals_autograd_at_every_layer(depth: int) -> None:
    tried = set()
    for seed in range(12):
        regularizers = [{"kind": "manifold_mixup", "alpha": 1.0, "depth": depth}, {"kind": "dropout", "p": 0.5}]
        for activation in ("relu", "tanh"):
            model = {"kind": "mlp", "hidden": [20, 12], "activation": activation}
            body = {**SMALL, "model": model, "seed": seed, "regularizers": regularizers, "optimizer": SGD}
            stack, progress = step_of(body)
            before = {name: tensor.double().clone().requires_grad_() for name, tensor in stack.tensors(0).items()}
            chosen = progress.batches.order[0, :32]
            x, y = progress.data.batch(chosen[None])[0].double(), progress.data.y[chosen]
            progress.train_step(1)
            stack.seek(1, 0, 32)
            draws = {draws.purpose.split("/")[1]: draws for _, draws in stack.regularizers}
            mixing = draws["manifold_mixup"]
            place = int((mixing.batch_int16("layer", 1).long() + 32768) * (depth + 1)) >> 16
            tried.add(place)
            share, order = mixing.beta("share", [1.0])[0, :, None].double(), mixing.uniform("partner")[0].argsort()
            targets = F.one_hot(y, 10).double()
            targets = share * targets + (1 - share) * targets[order]
            for layer in range(3):
                if place == layer:
                    x = share * x + (1 - share) * x[order]
                if layer > 0:
                    left = draws["dropout"].int16(f"layer{layer - 1}", x.shape[1])[0] >= 0
                    x = x * left * 2
                x = F.linear(x, before[f"layers.{layer}.weight"], before[f"layers.{layer}.bias"])
                x = getattr(torch, activation)(x) if layer < 2 else x
            loss = -(targets * x.log_softmax(1)).sum(1).mean()
            gradients = torch.autograd.grad(loss, list(before.values()))
            for gradient, (name, start) in zip(gradients, before.items(), strict=True):
                step = start.detach() - stack.tensors(0)[name].double()
                torch.testing.assert_close(step, 0.5 * gradient, rtol=1e-3, atol=1e-6)
    assert tried == set(range(depth + 1))


def test_manifold_mixup_refuses_a_depth_that_the_model_does_not_have() -> None:
    from tests.laws.strategies import parsed

    body = {**SMALL, "optimizer": SGD, "regularizers": [{"kind": "manifold_mixup", "depth": 3}]}
    ((place, objection),) = parsed(body).objections()
    assert place == ("regularizers", 0, "depth")
    assert objection.message == "The model has 2 dense hidden layers, so a depth of 3 is too large."
    assert objection.allowed == [1, 2]
    ((_, objection),) = parsed({**body, "model": {"kind": "linear"}}).objections()
    assert "has no dense hidden layer to mix in; use 'mixup'" in objection.message


@pytest.mark.parametrize(
    "part",
    [
        {"kind": "noise", "std": 0.1},
        {"kind": "mixup"},
        {"kind": "manifold_mixup"},
        {"kind": "dropout", "p": 0.5, "input_p": 0.1},
        {"kind": "dropout", "p": 0.5},
    ],
)
def test_parts_that_compute_with_inputs_refuse_tokens(part: dict[str, Any]) -> None:
    from tests.laws.strategies import parsed

    body = {**SMALL, "dataset": {"kind": "modular_arithmetic"}, "optimizer": SGD, "regularizers": [part]}
    messages = [message.message for place, message in parsed(body).objections() if place[0] == "regularizers"]
    refused = part["kind"] != "dropout" or "input_p" in part
    expected = f"{part['kind']!r} computes with the numbers of a row, and rows of 'modular_arithmetic' are tokens"
    assert [message.startswith(expected) for message in messages] == [True] * refused
