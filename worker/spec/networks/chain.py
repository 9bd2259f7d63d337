"""Layers in a row: shapes, parameters and computation of a chain."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.spec.families.layer import DoesNotFit, InPieces, Layer, LayerState, Names, Shape

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.families.model import Initialization
    from worker.spec.graph import Graph, Value


@dataclass(frozen=True)
class Step:
    """A layer at its place in a chain, with the shapes of its rows."""

    name: str
    """Prefix of its parameters, without the dot."""
    layer: Layer
    input: Shape
    output: Shape

    def tensors(self) -> dict[str, Shape]:
        """Return the shapes of the layer's parameters by full name."""
        return {f"{self.name}.{name}": shape for name, shape in self.layer.parameters(self.input).items()}

    def buffers(self) -> dict[str, Shape]:
        """Return the shapes of the layer's buffers by full name."""
        return {f"{self.name}.{name}": shape for name, shape in self.layer.buffers(self.input).items()}


@dataclass(frozen=True)
class Chain:
    """Layers in a row, named ``name.0``, ``name.1`` …, in the field ``name`` of a part."""

    layers: tuple[Layer, ...]
    name: str = "layers"

    def steps(self, shape: Shape) -> tuple[Step, ...]:
        """Return the layers with their shapes, for rows of ``shape``.

        Raises:
            DoesNotFit: A layer cannot take the rows that arrive.
        """
        return _steps(self, shape)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the last layer's rows.

        Raises:
            DoesNotFit: A layer cannot take the rows that arrive.
        """
        for step in self.steps(shape):
            shape = step.output
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of all parameters by name."""
        return {name: size for step in self.steps(shape) for name, size in step.tensors().items()}

    def buffers(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of all buffers by name."""
        return {name: size for step in self.steps(shape) for name, size in step.buffers().items()}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Any) -> Initialization:
        """Return the initialization of the parameter or buffer ``name`` of this chain."""
        position, _, inner = name.removeprefix(f"{self.name}.").partition(".")
        return self.layers[int(position)].initialization(inner, shape, fan_in, init)

    def flops(self, shape: Shape) -> int:
        """Return the floating-point operations of one row."""
        return sum(step.layer.flops(step.input) for step in self.steps(shape))

    def activations(self, shape: Shape) -> int:
        """Return the numbers that training keeps of one row."""
        return sum(step.layer.activations(step.input) for step in self.steps(shape))

    def min_rows(self, shape: Shape) -> int:
        """Return the fewest rows of a batch on which every layer can be trained."""
        return max((step.layer.min_rows(step.input) for step in self.steps(shape)), default=1)

    @property
    def needs_whole_batch(self) -> bool:
        """Whether any layer needs the whole batch."""
        return any(layer.needs_whole_batch for layer in self.layers)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the last layer's result of rows ``x`` (N, *shape), which is not changed."""
        return forward(self._named, x, state)

    def in_pieces(self, x: Tensor, state: LayerState) -> InPieces:
        """Return the last layer's result of a piece of a batch, in training."""
        return in_pieces(self._named, x, state)

    @property
    def _named(self) -> list[tuple[str, Layer]]:
        return [(f"{self.name}.{i}", layer) for i, layer in enumerate(self.layers)]

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the last layer's result as nodes of a graph."""
        for step in self.steps(shape):
            x = step.layer.onnx(graph, x, step.input, names.within(step.name))
        return x

    def module(self, shape: Shape) -> str:
        """Return the expression of an ``nn.Sequential`` of the layers."""
        return f"nn.Sequential({', '.join(step.layer.module(step.input) for step in self.steps(shape))})"


def forward(layers: Sequence[tuple[str, Layer]], x: Tensor, state: LayerState) -> Tensor:
    """Return the result of named ``layers``, one after the other; ``x`` is not changed."""
    fresh = False
    for name, layer in layers:
        own = state.within(name)
        x = layer.forward_in_place(x, own) if fresh else layer.forward(x, own)
        fresh = layer.fresh
    return x


def in_pieces(layers: Sequence[tuple[str, Layer]], x: Tensor, state: LayerState) -> InPieces:
    """Return the result of named ``layers`` of a piece of a batch, in training; ``x`` is not changed."""
    fresh = False
    for name, layer in layers:
        own = state.within(name)
        if layer.needs_whole_batch:
            x = yield from layer.in_pieces(x, own)
        else:
            x = layer.forward_in_place(x, own) if fresh else layer.forward(x, own)
        fresh = layer.fresh
    return x


@functools.lru_cache(maxsize=4096)
def _steps(chain: Chain, shape: Shape) -> tuple[Step, ...]:
    """Return the steps of a chain; without a cache, each level of nested layers would double the calls."""
    steps: list[Step] = []
    for i, layer in enumerate(chain.layers):
        try:
            output = layer.output_shape(shape)
        except DoesNotFit as refusal:
            raise refusal.below(*chain.name.split("."), i) from None
        steps.append(Step(f"{chain.name}.{i}", layer, shape, output))
        shape = output
    return tuple(steps)
