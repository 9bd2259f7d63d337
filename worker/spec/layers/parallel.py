"""Parallel branches: several chains of layers see the same rows, and their results are joined or added.

    concat   y = [f₁(x), f₂(x), …] along the channels
    add      y = f₁(x) + f₂(x) + …

A branch without layers is the rows themselves.

Reference: Szegedy et al., 2015, "Going deeper with convolutions"; He, Zhang, Ren and Sun, 2016, "Deep residual
learning for image recognition".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, InPieces, Layer, LayerState, Names, Shape, sizes
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init
from worker.spec.networks.chain import Chain

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value
    from worker.spec.layers import AnyLayer


class ParallelLayer(Layer):
    """Join or add the results of branches."""

    equation: ClassVar[str] = "y = [f₁(x), f₂(x), …]"
    reference: ClassVar[str] = "Szegedy et al. 2015, Going deeper with convolutions"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        (
            {
                "branches": [
                    [{"kind": "conv2d", "channels": 2, "kernel_size": 1}],
                    [{"kind": "conv2d", "channels": 3}, {"kind": "batch_norm"}, {"kind": "relu"}],
                    [],
                ]
            },
            (2, 4, 5),
        ),
        ({"join": "add", "branches": [[{"kind": "dense", "width": 4}], [], [{"kind": "tanh"}]]}, (4,)),
        ({"branches": [[{"kind": "dropout"}], [{"kind": "dense", "width": 2}]]}, (3,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["parallel"] = "parallel"
    branches: tuple[Annotated[tuple[AnyLayer, ...], Field(max_length=64)], ...] = Field(
        min_length=2,
        max_length=16,
        examples=[[[{"kind": "conv2d", "channels": 8}], [{"kind": "conv2d", "channels": 8, "kernel_size": 5}]]],
        description="Chains of layers; one without layers is the rows themselves.",
    )
    join: Literal["concat", "add"] = Field(default="concat", description="concat joins along the channels.")

    @property
    def _chains(self) -> list[Chain]:
        return [Chain(layers, f"branches.{i}") for i, layers in enumerate(self.branches)]

    @property
    def needs_whole_batch(self) -> bool:
        """Whether a layer inside does."""
        return any(chain.needs_whole_batch for chain in self._chains)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the joined or added results."""
        outputs = [chain.output_shape(shape) for chain in self._chains]
        compared = [output[1:] if self.join == "concat" else output for output in outputs]
        if len({(len(output), *rest) for output, rest in zip(outputs, compared, strict=True)}) > 1:
            results = ", ".join(map(sizes, outputs))
            message = (
                f"The branches turn rows of {sizes(shape)} into {results}, and must keep equal shapes"
                f"{' but for the channels' if self.join == 'concat' else ''}."
            )
            raise DoesNotFit(message, "branches")
        first = sum(output[0] for output in outputs) if self.join == "concat" else outputs[0][0]
        return (first, *outputs[0][1:])

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return those of the branches."""
        return {name: size for chain in self._chains for name, size in chain.parameters(shape).items()}

    def buffers(self, shape: Shape) -> dict[str, Shape]:
        """Return those of the branches."""
        return {name: size for chain in self._chains for name, size in chain.buffers(shape).items()}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return the initialization of the layer of that name."""
        branch = int(name.split(".")[1])
        return self._chains[branch].initialization(name, shape, fan_in, init)

    def flops(self, shape: Shape) -> int:
        """Return those of the branches, and of the sum."""
        added = len(self.branches) - 1 if self.join == "add" else 0
        return sum(chain.flops(shape) for chain in self._chains) + added * math.prod(self.output_shape(shape))

    def activations(self, shape: Shape) -> int:
        """Return those of the branches, and the result."""
        return sum(chain.activations(shape) for chain in self._chains) + math.prod(self.output_shape(shape))

    def min_rows(self, shape: Shape) -> int:
        """Return the most that a branch needs."""
        return max(chain.min_rows(shape) for chain in self._chains)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the joined or added results."""
        return self._joined([chain.forward(x, state) for chain in self._chains])

    def in_pieces(self, x: Tensor, state: LayerState) -> InPieces:
        """Return the joined or added results, of a piece."""
        x = state.cut(x)
        results: list[Tensor] = []
        for chain in self._chains:
            result = yield from chain.in_pieces(x, state)
            results.append(result)
        return self._joined(results)

    def _joined(self, results: list[Tensor]) -> Tensor:
        import torch

        if self.join == "concat":
            return torch.cat(results, 1)
        total = results[0] + results[1]
        for result in results[2:]:
            total = total + result
        return total

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the joined or added results."""
        results = [chain.onnx(graph, x, shape, names) for chain in self._chains]
        return graph.node("Concat", *results, axis=1) if self.join == "concat" else graph.node("Sum", *results)

    def module(self, shape: Shape) -> str:
        """Return ``Parallel`` with its branches."""
        return f"Parallel({self.join!r}, [{', '.join(chain.module(shape) for chain in self._chains)}])"
