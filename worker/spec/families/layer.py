"""Layers: from the shape of a row to the shape of a row, forward in plain torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from worker.spec.families.model import Initialization
from worker.spec.initialization import Init, initialization_for
from worker.spec.part import Part

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value

Shape = tuple[int, ...]
"""Of a row: (D,) numbers, (L, E) or (C, L) sequences, (C, H, W) images."""


class DoesNotFit(Exception):
    """A layer cannot take rows of the shape that arrives.

    Attributes:
        steps: The place of the field below the layer, such as ``("layers", 2, "channels")``; empty for the layer.
        message: What arrives and what would fit.
        allowed: Values that would fit, where they can be listed.
    """

    def __init__(self, message: str, *steps: str | int, allowed: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.steps, self.message, self.allowed = steps, message, tuple(allowed)

    def below(self, *steps: str | int) -> DoesNotFit:
        """Return the same refusal, seen from a container that has the layer at ``steps``."""
        return DoesNotFit(self.message, *steps, *self.steps, allowed=self.allowed)


class RowDraws(Protocol):
    """Random numbers for the N rows that a layer sees, from streams of its own.

    They depend only on the run's seed, the layer's place, the epoch, the row's position in the epoch and ``name``.
    """

    def uniform(self, name: str = "") -> Tensor:
        """Return one number in [0, 1) for each row, (N,), in steps of 2⁻²⁴."""

    def int16(self, name: str, width: int) -> Tensor:
        """Return ``width`` numbers for each row, uniform over all int16 values, (N, width)."""

    def normal(self, name: str, width: int) -> Tensor:
        """Return ``width`` standard normal numbers for each row, (N, width)."""


class Moments(NamedTuple):
    """Mean and variance (divided by the number of places) of each channel over a whole batch, (C,) each."""

    mean: Tensor
    var: Tensor
    places: int
    """Number of places of each channel."""


class Normalizing(NamedTuple):
    """The request of a layer that computes a piece of a batch for the moments of the whole batch."""

    rows: Tensor
    """The piece's rows (N, C, …), from :meth:`LayerState.cut`."""
    weight: Tensor
    """Scale of each channel; once the piece has gone back to the layer, its gradient is Σ g·(x − mean)/√(var + ε)."""
    bias: Tensor
    """Shift of each channel; its gradient is Σ g."""
    eps: float
    update: Callable[[Moments], None]
    """Changes the running values, once for a batch."""


InPieces = Generator[Normalizing, Moments, "Tensor"]
"""The computation of a piece, which stops where it needs the moments of the whole batch."""


def _uncut(x: Tensor) -> Tensor:
    return x


class LayerState:
    """The arguments of a layer besides its rows: tensors by name, the mode, random numbers."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        draws: Callable[[str], RowDraws],
        *,
        training: bool,
        prefix: str = "",
        cut: Callable[[Tensor], Tensor] = _uncut,
    ) -> None:
        """``tensors`` are one run's parameters and buffers by full name; ``draws`` makes streams by full name."""
        self._tensors, self._draws, self._prefix, self.training = tensors, draws, prefix, training
        self.cut = cut
        """Returns the same rows, at which the gradient stops; for rows that ``in_pieces`` uses after a stop."""

    def __getitem__(self, name: str) -> Tensor:
        """Return the layer's parameter or buffer ``name``."""
        return self._tensors[self._prefix + name]

    def within(self, name: str) -> LayerState:
        """Return the state of the layer ``name`` inside this one, such as ``layers.0``."""
        prefix = f"{self._prefix}{name}."
        return LayerState(self._tensors, self._draws, training=self.training, prefix=prefix, cut=self.cut)

    @property
    def draws(self) -> RowDraws:
        """The layer's random numbers; only to be used in training."""
        return self._draws(self._prefix)


class Names:
    """The full names of a layer's parameters and buffers in an ONNX graph."""

    def __init__(self, graph: Graph, prefix: str = "") -> None:
        self._graph, self._prefix = graph, prefix

    def __getitem__(self, name: str) -> Value:
        """Return the layer's parameter or buffer ``name`` as a constant of the graph."""
        return self._graph.weight(self._prefix + name)

    def array(self, name: str) -> Any:
        """Return the layer's parameter or buffer ``name`` as a NumPy array, to be rearranged."""
        return self._graph.array(self._prefix + name)

    def within(self, name: str) -> Names:
        """Return the names of the layer ``name`` inside this one."""
        return Names(self._graph, f"{self._prefix}{name}.")


class Layer(Part):
    """A step of a network. Parameters and buffers are named as in the ``torch.nn`` module of the same computation.

    A layer brings ``output_shape``, ``forward``, ``onnx`` and ``module``, and ``parameters`` if it has any. It sees the
    rows of one run; autograd differentiates it. Fields that are ``PerRun`` may differ between the runs of a stack.
    """

    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = ()
    """Fields of the layer and a shape that fits, for documentation and the contract that every layer passes."""
    example_values: ClassVar[int] = 0
    """Rows hold integers below this, such as tokens, in the contract that every layer passes; 0 means any numbers."""
    fresh: ClassVar[bool] = False
    """Whether the result shares no memory with anything that the way back needs, so that it may be overwritten."""
    takes_dataset: ClassVar[bool] = False
    """Whether only rows of the dataset fit, so that the layer must be the model's first."""

    def walk(self) -> Iterator[tuple[tuple[str | int, ...], Layer]]:
        """Yield this layer and those inside it, each with its place below this one."""
        yield (), self
        for name in type(self).model_fields:
            value = getattr(self, name)
            for place, inner in _layers_in(value):
                for steps, layer in inner.walk():
                    yield (name, *place, *steps), layer

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of a row of the result for rows of ``shape``.

        Raises:
            DoesNotFit: The layer cannot take rows of this shape.
        """
        raise NotImplementedError

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return name and shape of every parameter, in order, for rows of ``shape``."""
        return {}

    def buffers(self, shape: Shape) -> dict[str, Shape]:
        """Return name and shape of every buffer, such as a running mean."""
        return {}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return the initialization of the parameter or buffer ``name``; a bias has the ``fan_in`` of its weight."""
        return initialization_for(init, shape, fan_in)

    def flops(self, shape: Shape) -> int:
        """Return the floating-point operations of one row of ``shape``; by default two for each parameter."""
        return 2 * sum(math.prod(size) for size in self.parameters(shape).values())

    def activations(self, shape: Shape) -> int:
        """Return the numbers that training keeps of one row until its way back; by default those of the result."""
        return math.prod(self.output_shape(shape))

    def min_rows(self, shape: Shape) -> int:
        """Return the fewest rows of a batch on which the layer can be trained."""
        return 1

    @property
    def needs_whole_batch(self) -> bool:
        """Whether the rows of a batch depend on each other in training, as in batch normalization."""
        return False

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the result (N, *output) of rows ``x`` (N, *shape), which is not changed."""
        raise NotImplementedError

    def forward_in_place(self, x: Tensor, state: LayerState) -> Tensor:
        """Return the same result for an ``x`` that may be overwritten."""
        return self.forward(x, state)

    def in_pieces(self, x: Tensor, state: LayerState) -> InPieces:
        """Return the result of a piece of the batch in training, if the layer needs the whole batch."""
        raise NotImplementedError

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the result in evaluation mode (rows, *output) of ``x`` (rows, *shape), as nodes of a graph."""
        raise NotImplementedError

    def module(self, shape: Shape) -> str:
        """Return a Python expression of the ``torch.nn.Module`` that computes this layer for rows of ``shape``.

        It may use ``nn``, and the classes of :mod:`worker.spec.modules`.
        """
        raise NotImplementedError


def _layers_in(value: Any) -> Iterator[tuple[tuple[int, ...], Layer]]:
    """Yield the layers in a field's value, also in tuples of tuples, each with its place."""
    if isinstance(value, Layer):
        yield (), value
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from (((i, *place), layer) for place, layer in _layers_in(item))


def sizes(shape: Shape) -> str:
    """Return ``shape`` as messages write it: 3 × 32 × 32."""
    return " × ".join(map(str, shape))


def divisors(number: int) -> list[int]:
    """Return the divisors of ``number`` up to 64, for messages that list them."""
    return [n for n in range(1, min(number, 64) + 1) if not number % n]


def check_sequence(kind: str, shape: Shape) -> None:
    """Refuse rows that are no sequence of vectors (L, E).

    Raises:
        DoesNotFit: Rows have another number of dimensions.
    """
    if len(shape) != 2:
        message = (
            f"{kind!r} takes sequences of vectors (length × width), and rows of shape {sizes(shape)} arrive: tokens "
            "become sequences in 'embedding', images in 'patchify', other rows in 'reshape'."
        )
        raise DoesNotFit(message)


class ElementwiseLayer(Layer):
    """A layer that maps each number by itself."""

    examples: ClassVar[tuple[tuple[dict[str, Any], Shape], ...]] = (({}, (3, 4, 5)), ({}, (6,)))

    def output_shape(self, shape: Shape) -> Shape:
        """Return the same shape."""
        return shape

    def flops(self, shape: Shape) -> int:
        """Return one for each number."""
        return math.prod(shape)
