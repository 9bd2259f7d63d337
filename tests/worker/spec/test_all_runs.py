"""The body of a network as a GPU computes it, here on the CPU: the same numbers as in pieces, to float32 noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.laws.architectures import BODIES
from tests.laws.strategies import CPU, parsed
from worker.engine.hooks import PlainHooks
from worker.engine.stack import Member, Stack
from worker.spec.networks.network import LayerNetwork

ROWS = 20


def stack_of(layers: list[dict[str, Any]], **changes: Any) -> Stack:
    runs = []
    for seed in range(3):
        changed = [{**layer, **(changes if layer["kind"] == "dropout" else {})} for layer in layers]
        body = {"model": {"kind": "sequential", "layers": changed}, "optimizer": {"kind": "sgd", "lr": 0.1}}
        runs.append(Member(str(seed), parsed({**body, "dataset": {"kind": "digits"}, "seed": seed})))
    return Stack(runs, CPU)


def step(stack: Stack, *, together: bool) -> tuple[torch.Tensor, ...]:
    """Outputs, gradients and buffers after a step on the same numbers."""
    generator = torch.Generator().manual_seed(1)
    x, g = torch.randn(3, ROWS, 64, generator=generator), torch.randn(3, ROWS, 10, generator=generator)
    network = stack.network
    assert isinstance(network, LayerNetwork)
    stack.seek(1, 0, ROWS)
    if not together:
        outputs = network.forward(x, PlainHooks()).clone()
        network.backward(g)
        return outputs, *stack.gradients.values(), stack.buffers
    features = network.all_runs.forward(x, training=True)
    outputs = network.head.forward(features, PlainHooks()).clone()
    inner = network.head.backward_to_inputs(g)
    if network.trainable:
        network.all_runs.backward(inner)
    return outputs, *stack.gradients.values(), stack.buffers


@pytest.mark.parametrize("layers", BODIES, ids=range(len(BODIES)))
def test_body_of_all_runs_together_equals_the_pieces(layers: list[dict[str, Any]]) -> None:
    pieces, together = (step(stack_of(layers), together=together) for together in (False, True))
    for expected, result in zip(pieces, together, strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-4, atol=2e-5)


def test_runs_that_differ_in_a_field_of_a_layer_are_computed_each_with_its_own() -> None:
    layers: list[dict[str, Any]] = [{"kind": "dropout", "p": 0.5}, {"kind": "flatten"}]
    none, half = (step(stack_of(layers, p=p), together=True)[0] for p in (0.0, 0.5))
    assert not torch.equal(none, half)


def test_runs_without_random_layers_are_vectorized() -> None:
    stack = stack_of(BODIES[2])
    step(stack, together=True)
    assert isinstance(stack.network, LayerNetwork)
    assert stack.network.all_runs.vectorized
