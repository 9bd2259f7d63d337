"""Transpose: the vectors of a sequence become the places of another.

    y_e,l = x_l,e

Between two of these layers, a dense layer mixes the places of a sequence instead of the numbers of a vector, as in the
MLP-Mixer. One of them turns a sequence of vectors (L, E) into a sequence of channels (C, L), or back.

Reference: Tolstikhin et al., 2021, "MLP-Mixer: an all-MLP architecture for vision"; ``torch.transpose``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from worker.spec.families.layer import Layer, LayerState, Names, Shape, check_sequence

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value


class TransposeLayer(Layer):
    """Exchange the two sizes of a sequence."""

    equation: ClassVar[str] = "y_e,l = x_l,e"
    reference: ClassVar[str] = "Tolstikhin et al. 2021, MLP-Mixer: an all-MLP architecture for vision"
    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (5, 4)),)

    kind: Literal["transpose"] = "transpose"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the sizes in the other order."""
        check_sequence(self.kind, shape)
        return (shape[1], shape[0])

    def flops(self, shape: Shape) -> int:
        """Return none."""
        return 0

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return (N, E, L)."""
        return x.transpose(1, 2).contiguous()

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return (rows, E, L)."""
        return graph.node("Transpose", x, perm=[0, 2, 1])

    def module(self, shape: Shape) -> str:
        """Return ``Transpose``."""
        return "Transpose()"
