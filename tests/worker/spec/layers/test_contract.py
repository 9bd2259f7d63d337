"""The contract that every layer passes, found in the folder and listed nowhere; and planted faults that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.worker.spec.layers import contract
from tests.worker.spec.layers.contract import Example, examples
from worker.spec.families.layer import Layer, LayerState, Shape
from worker.spec.layers import KINDS
from worker.spec.layers.conv2d import Conv2dLayer
from worker.spec.layers.dropout import DropoutLayer
from worker.spec.layers.relu import ReLULayer


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute as a piece does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


EXAMPLES = [
    pytest.param(example, id=f"{kind}-{i}") for kind, part in KINDS.items() for i, example in enumerate(examples(part))
]
RULES = [pytest.param(rule, id=rule.__name__) for rule in contract.RULES]


@pytest.mark.parametrize("kind", KINDS)
def test_layer_brings_examples_of_small_rows(kind: str) -> None:
    part = KINDS[kind]
    assert part.__name__.endswith("Layer"), "the class of a layer is called so: ReLULayer"
    assert part.examples, "list fields, and a shape that fits, in examples: ({}, (3, 4, 5))"
    for _, shape in part.examples:
        assert len(shape) <= 3


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_layer_keeps_the_contract(example: Example, rule: Callable[[Example], None]) -> None:
    rule(example)


@pytest.mark.parametrize("example", EXAMPLES)
def test_layer_takes_or_refuses_every_shape(example: Example) -> None:
    contract.takes_or_refuses_every_shape(example.layer)


RELU = Example(ReLULayer(), (6,))
DROPOUT = Example(DropoutLayer(p=0.4), (6,))
CONV = Example(Conv2dLayer(channels=2), (1, 4, 4))


class WrongGradient(torch.autograd.Function):
    """ReLU whose gradient ignores the sign."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.relu()

    @staticmethod
    def backward(context: Any, *g: Tensor) -> Tensor:
        return g[0]


def test_contract_detects_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.computes_as_the_module(RELU)
    monkeypatch.setattr(ReLULayer, "forward", lambda self, x, state: WrongGradient.apply(x))
    with pytest.raises(AssertionError):
        contract.computes_as_the_module(RELU)


@pytest.mark.parametrize("rule", [contract.computes_as_the_module, contract.onnx_equals_evaluation])
def test_contract_reaches_bounds(rule: Callable[[Example], None], monkeypatch: pytest.MonkeyPatch) -> None:
    rule(RELU)
    monkeypatch.setattr(ReLULayer, "forward", lambda self, x, state: x.relu().clamp(max=4))
    with pytest.raises(AssertionError):
        rule(RELU)


def test_contract_detects_draws_that_depend_on_the_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.rows_depend_on_their_piece_alone(DROPOUT)
    monkeypatch.setattr(contract.Draws, "__call__", lambda self, name: self._draws(0, name, 1, 0, self._rows))
    with pytest.raises(AssertionError):
        contract.rows_depend_on_their_piece_alone(DROPOUT)


def test_contract_detects_another_share_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.draws_as_the_module(DROPOUT)
    forward = DropoutLayer.forward
    other = DropoutLayer(p=0.5)
    monkeypatch.setattr(DropoutLayer, "forward", lambda self, x, state: forward(other, x, state))
    with pytest.raises(AssertionError):
        contract.draws_as_the_module(DROPOUT)


def test_contract_detects_a_name_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.names_and_shapes_are_the_modules(CONV)
    parameters = Conv2dLayer.parameters

    def renamed(self: Conv2dLayer, shape: Shape) -> dict[str, Shape]:
        return {{"weight": "kernel"}.get(name, name): size for name, size in parameters(self, shape).items()}

    monkeypatch.setattr(Conv2dLayer, "parameters", renamed)
    with pytest.raises(AssertionError):
        contract.names_and_shapes_are_the_modules(CONV)


def test_contract_detects_a_result_that_may_not_be_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.may_be_overwritten_where_it_says_so(RELU)
    monkeypatch.setattr(ReLULayer, "fresh", True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        contract.may_be_overwritten_where_it_says_so(RELU)


def test_contract_detects_rows_that_depend_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def centered(self: Layer, x: Tensor, state: LayerState) -> Tensor:
        return (x - x.mean(0)).relu()

    monkeypatch.setattr(ReLULayer, "forward", centered)
    with pytest.raises(AssertionError):
        contract.rows_depend_on_their_piece_alone(RELU)


def test_contract_detects_memory_that_is_not_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    contract.keeps_what_it_says(DROPOUT)
    monkeypatch.setattr(DropoutLayer, "forward", lambda self, x, state: x.sin().sin().sin().sin())
    with pytest.raises(AssertionError, match="activations says 6 for each row, and 24 are kept"):
        contract.keeps_what_it_says(DROPOUT)


def test_contract_detects_a_name_that_no_file_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReLULayer, "module", lambda self, shape: "nn.Softplus(math.e)")
    with pytest.raises(AssertionError, match="name 'math' is not defined"):
        contract.module_needs_only_what_a_file_has(RELU)
