"""Models: parameters, how they begin, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from worker.spec.families.regularizer import hook
from worker.spec.part import Part, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, HiddenValue, Value


class Acted(NamedTuple):
    """What was done to a hidden layer's activations, for the way back."""

    factor: Tensor | None = None
    """By what the gradient is multiplied, (K, N, H)."""
    added: Tensor | None = None
    """What is added to the gradient at the activations as they were before, (K, 1, H)."""


class Hidden(Protocol):
    """What happens to activations between a model's layers."""

    training: bool
    keeps: bool
    """Whether the way back needs the activations as they were before."""

    def __call__(self, a: Tensor, layer: int) -> Acted:
        """Change the activations ``a`` (K, N, H) of hidden ``layer`` in place."""


class Network(Protocol):
    """A model's computation for the K runs of a stack."""

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Logits (K, N, classes) of ``x`` (K, N, D); ``hidden`` is called on each hidden layer's activations."""

    def backward(self, g: Tensor) -> None:
        """Write the gradients of the last ``forward``, given the loss's gradient ``g`` at the logits."""


Precision = Literal["float32", "bfloat16"]


class Material(NamedTuple):
    """What a network is made from."""

    parameters: Mapping[str, Tensor]
    """By name, each (K, *shape)."""
    gradients: Mapping[str, Tensor]
    """Where ``backward`` writes; the same shapes."""
    buffers: Mapping[str, Tensor]
    """What a model keeps besides its parameters, such as running means; each (K, *shape)."""
    shape: tuple[int, ...]
    """Of a row of the dataset."""
    precision: Precision = "float32"
    """Of the products; parameters and sums are float32."""


class Start(NamedTuple):
    """How a parameter begins: uniform in ±scale, normal with standard deviation scale, or constant."""

    distribution: Literal["uniform", "normal", "constant"]
    scale: float


class Model(Part):
    """A function from a row of the dataset to one logit for each class."""

    in_pieces: ClassVar[bool] = False
    """Whether some of it is computed in pieces of one thread each (:mod:`worker.spec.threads`)."""

    @property
    def hidden_layers(self) -> int:
        """How many layers of hidden units regularizers can work on."""
        return 0

    def parameters(self, shape: tuple[int, ...], classes: int) -> dict[str, tuple[int, ...]]:
        """Name and shape of every parameter, in order; names as in ``torch.nn``. Needs no torch."""
        raise NotImplementedError

    def buffers(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Name and shape of what is kept but not learned."""
        return {}

    def start(self, name: str, shape: tuple[int, ...], fan_in: int) -> Start:
        """How the parameter or buffer ``name`` begins; a bias has the ``fan_in`` of its weight."""
        return Start("uniform", fan_in**-0.5)

    def flops(self, shape: tuple[int, ...], classes: int) -> int:
        """Floating-point operations of one row's forward pass; for dense layers two for each weight."""
        return 2 * sum(math.prod(size) for size in self.parameters(shape, classes).values())

    @hook
    def onnx(self, graph: Graph, x: Value, shape: tuple[int, ...], hidden: HiddenValue) -> Value:
        """Logits (rows, classes) of inputs ``x`` (rows, D), which had ``shape``, in evaluation mode; needs no torch."""
        raise NotImplementedError

    @staticmethod
    def network(part: Stacked[Any], material: Material) -> Network:
        """The computation on ``material.parameters``, writing into its gradients."""
        raise NotImplementedError
