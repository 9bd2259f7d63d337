"""Residual connection: the rows are added to what the layers make of them.

    y = x' + f(x)

x' is x where the layers keep its shape. Where they change it, x' is a projection of x: a 1 × 1 convolution with their
stride, followed by batch normalization if they have any (option B of the paper), or a dense layer for rows of numbers.
``drop_path`` as the last of the layers is stochastic depth.

Reference: He, Zhang, Ren and Sun, 2016, "Deep residual learning for image recognition".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.layer import DoesNotFit, InPieces, Layer, LayerState, Names, Shape, sizes
from worker.spec.families.model import Initialization
from worker.spec.initialization import Init
from worker.spec.layers.batch_norm import BatchNormLayer
from worker.spec.layers.conv2d import Conv2dLayer
from worker.spec.layers.dense import DenseLayer
from worker.spec.networks.chain import Chain

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value
    from worker.spec.layers import AnyLayer


class ResidualLayer(Layer):
    """Add the rows to the result of layers."""

    equation: ClassVar[str] = "y = x + f(x)"
    reference: ClassVar[str] = "He, Zhang, Ren and Sun 2016, Deep residual learning for image recognition"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (
        ({"layers": [{"kind": "relu"}, {"kind": "dense", "width": 4}]}, (4,)),
        ({"layers": [{"kind": "dense", "width": 5}, {"kind": "relu"}]}, (3,)),
        (
            {
                "layers": [
                    {"kind": "conv2d", "channels": 4, "stride": 2, "padding": 1, "bias": False},
                    {"kind": "batch_norm"},
                ]
            },
            (2, 6, 6),
        ),
        (
            {
                "layers": [
                    {"kind": "batch_norm"},
                    {"kind": "relu"},
                    {"kind": "residual", "layers": [{"kind": "conv2d", "channels": 2}, {"kind": "batch_norm"}]},
                    {"kind": "conv2d", "channels": 2},
                ]
            },
            (2, 4, 5),
        ),
        ({"layers": [{"kind": "dense", "width": 4}, {"kind": "drop_path", "p": 0.5}]}, (4,)),
    )
    fresh: ClassVar[bool] = True

    kind: Literal["residual"] = "residual"
    layers: tuple[AnyLayer, ...] = Field(
        min_length=1,
        max_length=64,
        examples=[[{"kind": "conv2d", "channels": 16}, {"kind": "batch_norm"}, {"kind": "relu"}]],
        description="The layers around which the rows are led.",
    )

    @property
    def _chain(self) -> Chain:
        return Chain(self.layers)

    @property
    def needs_whole_batch(self) -> bool:
        """Whether a layer inside does."""
        return self._chain.needs_whole_batch

    def _shortcut(self, shape: Shape) -> Chain:
        """Return the projection of the rows; no layers where the shape stays."""
        output = self._chain.output_shape(shape)
        if output == shape:
            return Chain((), "shortcut")
        if len(shape) == len(output) == 1:
            return Chain((DenseLayer(width=output[0]),), "shortcut")
        stride = -(-shape[-1] // output[-1]) if len(shape) == len(output) == 3 else 0
        if not stride or tuple(-(-length // stride) for length in shape[1:]) != output[1:]:
            message = (
                f"The layers turn rows of {sizes(shape)} into {sizes(output)}, which cannot be added; keep the shape, "
                "or change the number of channels and divide height and width by a stride."
            )
            raise DoesNotFit(message, "layers")
        whole = self._chain.needs_whole_batch
        conv = Conv2dLayer(channels=output[0], kernel_size=1, stride=stride, padding=0, bias=not whole)
        return Chain((conv, BatchNormLayer()) if whole else (conv,), "shortcut")

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that the layers make."""
        self._shortcut(shape)
        return self._chain.output_shape(shape)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return those of the layers and of the projection."""
        return {**self._chain.parameters(shape), **self._shortcut(shape).parameters(shape)}

    def buffers(self, shape: Shape) -> dict[str, Shape]:
        """Return those of the layers and of the projection."""
        return {**self._chain.buffers(shape), **self._shortcut(shape).buffers(shape)}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return what the layer of that name says."""
        if name.startswith("shortcut.1."):
            return BatchNormLayer().initialization(name.removeprefix("shortcut.1."), shape, fan_in, init)
        if name.startswith("shortcut."):
            return super().initialization(name, shape, fan_in, init)
        return self._chain.initialization(name, shape, fan_in, init)

    def flops(self, shape: Shape) -> int:
        """Return those of the layers, of the projection and of the sum."""
        chain = self._chain
        return chain.flops(shape) + self._shortcut(shape).flops(shape) + math.prod(chain.output_shape(shape))

    def activations(self, shape: Shape) -> int:
        """Return those of the layers, of the projection and of the sum."""
        chain = self._chain
        inner = chain.activations(shape) + self._shortcut(shape).activations(shape)
        return inner + math.prod(chain.output_shape(shape))

    def min_rows(self, shape: Shape) -> int:
        """Return that of the layers; where they normalize over the batch, the projection does too."""
        return max(self._chain.min_rows(shape), self._shortcut(shape).min_rows(shape))

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the sum."""
        changed = self._chain.forward(x, state)
        if changed.shape == x.shape:
            return changed + x
        return changed + self._shortcut(tuple(x.shape[1:])).forward(x, state)

    def in_pieces(self, x: Tensor, state: LayerState) -> InPieces:
        """Return the sum, of a piece."""
        x = state.cut(x)
        changed = yield from self._chain.in_pieces(x, state)
        shortcut = x
        if changed.shape != x.shape:
            shortcut = yield from self._shortcut(tuple(x.shape[1:])).in_pieces(x, state)
        return changed.add_(shortcut) if self.layers[-1].fresh else changed + shortcut

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the sum."""
        changed = self._chain.onnx(graph, x, shape, names)
        return graph.node("Add", changed, self._shortcut(shape).onnx(graph, x, shape, names))

    def module(self, shape: Shape) -> str:
        """Return ``Residual`` with its layers and its shortcut."""
        return f"Residual({self._chain.module(shape)}, {self._shortcut(shape).module(shape)})"
