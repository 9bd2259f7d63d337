"""Recurrent layers: a hidden state goes along a sequence of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import Layer, LayerState, Names, Shape, check_sequence
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init, initialization_for

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from worker.spec.graph import Graph, Value

    Values = np.ndarray[Any, Any]

DIRECTIONS = ("", "_reverse")


class RecurrentLayer(Layer):
    """A layer with a hidden state. Parameters are those of torch's recurrent modules with one layer.

    Weights and biases begin uniform in ±1/√width, as in torch, or as the model's ``init`` says.
    """

    onnx_gates: ClassVar[tuple[int, ...]] = ()
    """The places of ONNX's gates among torch's."""
    onnx_attributes: ClassVar[dict[str, Any]] = {}
    fresh: ClassVar[bool] = True
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"width": 4}, (5, 3)),
        ({"width": 2, "output": "sequence"}, (4, 3)),
        ({"width": 2, "bidirectional": True}, (4, 3)),
        ({"width": 3, "bidirectional": True, "output": "sequence"}, (2, 5)),
    )

    width: int = Field(ge=1, le=65_536, examples=[64], description="Numbers of the hidden state.")
    output: Literal["last", "sequence"] = Field(
        default="last", description="The hidden state at the end, or at every place of the sequence."
    )
    bidirectional: bool = Field(
        default=False, description="Whether a second state goes backward; the width of the output doubles."
    )

    @property
    def _directions(self) -> tuple[str, ...]:
        return DIRECTIONS if self.bidirectional else DIRECTIONS[:1]

    def output_shape(self, shape: Shape) -> Shape:
        """Return one vector, or one for each place."""
        check_sequence(self.kind, shape)
        width = self.width * len(self._directions)
        return (shape[0], width) if self.output == "sequence" else (width,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return weights of inputs and of the state, and two biases, for each direction."""
        rows = len(self.onnx_gates) * self.width
        own: dict[str, Shape] = {
            "weight_ih_l0": (rows, shape[1]),
            "weight_hh_l0": (rows, self.width),
            "bias_ih_l0": (rows,),
            "bias_hh_l0": (rows,),
        }
        return {f"{name}{direction}": size for direction in self._directions for name, size in own.items()}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return as torch begins, or as ``init`` says."""
        return (
            Initialization("uniform", self.width**-0.5) if init == "torch" else initialization_for(init, shape, fan_in)
        )

    def flops(self, shape: Shape) -> int:
        """Return two for each weight and place."""
        return super().flops(shape) * shape[0]

    def activations(self, shape: Shape) -> int:
        """Return gates and states at each place."""
        return shape[0] * self.width * len(self._directions) * (len(self.onnx_gates) + 2)

    def states(self, x: Tensor, weights: list[Tensor], initial: Tensor) -> Tensor:
        """Return the hidden state at each place, (N, L, directions · width).

        ``initial`` (directions, N, width) are zeros.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the hidden state at the end, or at every place."""
        import torch

        weights = [state[name] for name in self.parameters(tuple(x.shape[1:]))]
        states = self.states(x, weights, x.new_zeros((len(self._directions), len(x), self.width)))
        if self.output == "sequence":
            return states
        ends = [states[:, -1, : self.width], states[:, 0, self.width :]]
        return torch.cat(ends, 1) if self.bidirectional else ends[0]

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the hidden state at the end, or at every place."""
        import numpy as np

        def stacked(name: str) -> Values:
            return np.stack([self._reordered(names.array(name + direction)) for direction in self._directions])

        biases = np.concatenate([stacked("bias_ih_l0"), stacked("bias_hh_l0")], 1)
        weights = [graph.number(values) for values in (stacked("weight_ih_l0"), stacked("weight_hh_l0"), biases)]
        states = graph.node(
            self.kind.upper(),
            graph.node("Transpose", x, perm=[1, 0, 2]),
            *weights,
            hidden_size=self.width,
            direction="bidirectional" if self.bidirectional else "forward",
            **self.onnx_attributes,
        )  # (L, directions, rows, width)
        by_row = graph.node("Transpose", states, perm=[2, 0, 1, 3])
        if self.output == "last":
            places = [shape[0] - 1, 0][: len(self._directions)]
            return graph.features(*(self._end(graph, by_row, place, i) for i, place in enumerate(places)))
        return graph.node("Reshape", by_row, graph.sizes([-1, *self.output_shape(shape)]))

    def _end(self, graph: Graph, states: Value, place: int, direction: int) -> Value:
        """Return the state (rows, width) at ``place`` of ``states`` (rows, L, directions, width)."""
        at_place = graph.node("Gather", states, graph.integers([place]), axis=1)
        own = graph.node("Gather", at_place, graph.integers([direction]), axis=2)
        return graph.node("Reshape", own, graph.sizes([-1, self.width]))

    def _reordered(self, values: Values) -> Values:
        """Return a parameter with its gates in ONNX's order."""
        by_gate = values.reshape(len(self.onnx_gates), self.width, *values.shape[1:])
        return by_gate[list(self.onnx_gates)].reshape(values.shape)

    def module(self, shape: Shape) -> str:
        """Return a subclass of torch's recurrent module."""
        more = ["bidirectional=True"] if self.bidirectional else []
        arguments = ", ".join([str(shape[1]), str(self.width), *more])
        return f'Recurrent{self.kind.upper()}({arguments}, output="{self.output}")'
