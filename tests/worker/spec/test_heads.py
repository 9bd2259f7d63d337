"""Dense layers before the outputs, with dropout layers between them: one product a layer for all runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from tests.laws.strategies import CPU, parsed
from worker.engine.hooks import PlainHooks
from worker.engine.stack import Member, Stack
from worker.spec.layers.dropout import DropoutLayer
from worker.spec.networks.model import LayeredModel
from worker.spec.networks.network import LayerNetwork, head_of

RUNS, ROWS = 2, 20
FLAT, RELU, TANH = {"kind": "flatten"}, {"kind": "relu"}, {"kind": "tanh"}


def dense(width: int) -> dict[str, Any]:
    return {"kind": "dense", "width": width}


def dropout(p: float) -> dict[str, Any]:
    return {"kind": "dropout", "p": p}


def model(layers: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": "sequential", "layers": [FLAT, *layers]}


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ([dense(8), RELU], ("layers.1", "output")),
        ([dense(8), RELU, dropout(0.5)], ("layers.1", "output")),
        ([dense(8), RELU, dropout(0.5), dropout(0.5), dense(4), RELU], ("layers.1", "layers.5", "output")),
        ([dense(8), TANH, dense(4), RELU], ("layers.3", "output")),
        ([dense(8), dropout(0.5), RELU], ("output",)),
        ([dropout(0.5)], ("output",)),
        ([RELU, dropout(0.5)], ("output",)),
    ],
)
def test_head_is_the_longest_chain_with_one_nonlinearity(layers: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    spec = parsed({"model": model(layers), "dataset": {"kind": "digits"}, "optimizer": {"kind": "sgd", "lr": 0.1}})
    assert isinstance(spec.model, LayeredModel)
    assert head_of(spec.model.steps(spec.dataset.shape, spec.dataset.outputs)).names == names


def test_dropout_between_dense_layers_has_the_gradient_of_autograd() -> None:
    shares = (0.4, 0.1)
    specs = [
        parsed(
            {
                "model": model([dense(9), RELU, dropout(p), dense(7), RELU]),
                "dataset": {"kind": "digits"},
                "optimizer": {"kind": "sgd", "lr": 0.1},
                "seed": seed,
            }
        )
        for seed, p in enumerate(shares)
    ]
    stack = Stack([Member(str(spec.seed), spec) for spec in specs], CPU)
    network = stack.network
    assert isinstance(network, LayerNetwork)
    generator = torch.Generator().manual_seed(0)
    x, g = torch.randn(RUNS, ROWS, 64, generator=generator), torch.randn(RUNS, ROWS, 10, generator=generator)
    stack.seek(3, 40, ROWS)
    outputs = network.forward(x, PlainHooks()).clone()
    network.backward(g)
    for k, p in enumerate(shares):
        own = {name: view[k].detach().clone().requires_grad_() for name, view in stack.parameters.items()}
        factor = DropoutLayer(p=p).factor(network.draws_of(k, "layers.3.", 0, ROWS), 9, torch.float32)
        assert 0 < (factor == 0).float().mean() < 2 * p
        h = F.linear(x[k], own["layers.1.weight"], own["layers.1.bias"]).relu() * factor
        h = F.linear(h, own["layers.4.weight"], own["layers.4.bias"]).relu()
        z = F.linear(h, own["output.weight"], own["output.bias"])
        torch.testing.assert_close(outputs[k], z)
        for name, gradient in zip(own, torch.autograd.grad(z, list(own.values()), g[k]), strict=True):
            torch.testing.assert_close(stack.gradients[name][k], gradient, rtol=1e-4, atol=1e-5)
