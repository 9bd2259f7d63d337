"""Models: parameters, how they begin, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from worker.spec.families.hooks import hook
from worker.spec.part import Part, Stacked

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, HiddenValue, Value
    from worker.spec.run import RunSpec


class HookResult(NamedTuple):
    """The effect of hooks on a hidden layer's activations, for the backward pass."""

    factor: Tensor | None = None
    """By what the gradient is multiplied, (K, N, H)."""
    added: Tensor | None = None
    """Addition to the gradient at the original activations, (K, N, H) or (K, 1, H)."""
    unmix: Callable[[Tensor], Tensor] | None = None
    """The gradient at activations before their rows were mixed, given that after; both (K, N, H)."""


class Hidden(Protocol):
    """Hooks on the activations between a model's layers."""

    training: bool
    keeps: bool
    """Whether the way back needs the activations as they were before."""

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Change the activations ``a`` (K, N, H) of hidden ``layer`` in place."""


class Network:
    """A model's computation for the K runs of a stack."""

    def seek(self, epoch: int, first: int) -> None:
        """Go to the batch that begins at position ``first`` of ``epoch``: what a model draws depends on it."""

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Outputs (K, N, outputs) of ``x`` (K, N, D); ``hidden`` is called on each hidden layer's activations."""
        raise NotImplementedError

    def backward(self, g: Tensor) -> None:
        """Write the gradients of the last ``forward``, given the loss's gradient ``g`` at the outputs."""
        raise NotImplementedError

    def input_gradient(self, v: Tensor) -> InputGradient:
        """Return the gradient at the inputs of ``v`` (K, N, outputs) times the outputs of the last ``forward``.

        Only for models that are dense.
        """
        raise NotImplementedError


class InputGradient(Protocol):
    """The gradient of a weighted sum of a row's outputs at its inputs."""

    def squared_norms(self) -> Tensor:
        """Return the squared norm of each row's gradient, (K, N)."""

    def add_gradients(self, scale: Tensor) -> None:
        """Add to the network's gradients those of the sum of ``scale``/2 (K, 1, 1) times the squared norms."""


Precision = Literal["float32", "bfloat16", "tf32"]


def no_draws(run: int, purpose: str, epoch: int, first: int, rows: int) -> Any:
    """Refuse: the network was built without random numbers."""
    raise RuntimeError(f"{purpose} draws random numbers, and the network has none")


class ParameterViews(NamedTuple):
    """The parameters and buffers of a network."""

    parameters: Mapping[str, Tensor]
    """By name, each (K, *shape)."""
    gradients: Mapping[str, Tensor]
    """Where ``backward`` writes; the same shapes."""
    buffers: Mapping[str, Tensor]
    """Buffers besides the parameters, such as running means; each (K, *shape)."""
    shape: tuple[int, ...]
    """Shape of a row of the dataset."""
    precision: Precision = "float32"
    """Precision of products; parameters and sums are float32."""
    outputs: int = 0
    """Number of outputs per row."""
    row_draws: Callable[[int, str, int, int, int], Any] = no_draws
    """Random numbers of a run's layer (``RowDraws``): run, purpose, epoch, first row's position, number of rows."""


class Initialization(NamedTuple):
    """The distribution of initial values: uniform in ±scale, normal with standard deviation scale, or constant."""

    distribution: Literal["uniform", "normal", "constant"]
    scale: float


class LayerSummary(NamedTuple):
    """A row in the summary of a model."""

    name: str
    """Prefix of the layer's parameters; empty for a layer that has none and no name."""
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    flops: int
    """Floating-point operations of one row's forward pass."""
    activations: int = 0
    """Numbers that the layer computes for one row, those of the layers inside it included."""


FLOAT_BYTES = 4
CHUNK_ROWS = 500
"""Rows in a forward pass of evaluation; fixed, since a GEMM's bits may depend on its height."""
MICRO_ROWS = 1024
"""Most rows in a forward and backward pass; the gradients of a larger batch's parts are summed in order."""


class Model(Part):
    """A function from a row of the dataset to one logit for each class, or to the number that is the target."""

    trains: ClassVar[bool] = True
    """Whether an optimizer trains the model; if not, it is :class:`InstanceBased`."""
    epoch_name: ClassVar[str] = "epoch"
    """The name of an epoch on axes and in sentences."""

    @property
    def in_pieces(self) -> bool:
        """Whether the model computes pieces of one thread each (:mod:`worker.spec.threads`)."""
        return False

    def fits(self, shape: tuple[int, ...], outputs: int) -> bool:
        """Return whether the layers fit rows of ``shape`` and each other."""
        return True

    def hidden_layers(self, shape: tuple[int, ...]) -> int:
        """Return the number of hidden layers on which regularizers act, for rows of ``shape``."""
        return 0

    def is_dense(self, shape: tuple[int, ...], outputs: int) -> bool:
        """Return whether dense layers with one nonlinearity between them are all of the model."""
        return False

    def parameters(self, shape: tuple[int, ...], outputs: int) -> dict[str, tuple[int, ...]]:
        """Return name and shape of every parameter, in order, named as in ``torch.nn``; needs no torch."""
        raise NotImplementedError

    def buffers(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return name and shape of every buffer."""
        return {}

    def initialization(self, name: str, shape: tuple[int, ...], fan_in: int) -> Initialization:
        """Return the initialization of the parameter or buffer ``name``; a bias has the ``fan_in`` of its weight."""
        return Initialization("uniform", fan_in**-0.5)

    def flops(self, shape: tuple[int, ...], outputs: int) -> int:
        """Return the floating-point operations of one row's forward pass; for dense layers two for each weight."""
        return 2 * sum(math.prod(size) for size in self.parameters(shape, outputs).values())

    def summary(self, shape: tuple[int, ...], outputs: int) -> list[LayerSummary]:
        """Return a table of the layers, the output layer included; empty for a model without layers."""
        return []

    @hook
    def onnx(self, graph: Graph, x: Value, shape: tuple[int, ...], hidden: HiddenValue) -> Value:
        """Return logits (rows, classes) in evaluation mode of ``x`` (rows, D), flattened from ``shape``."""
        raise NotImplementedError

    def max_epochs(self, run: RunSpec) -> int | None:
        """The largest number of epochs; None if unlimited."""
        return None

    def operations(self, run: RunSpec, evaluated: int) -> float:
        """Return the floating-point operations of a run of which an evaluation takes ``evaluated`` rows."""
        forward = self.flops(run.dataset.shape, run.dataset.outputs)
        rows = run.evaluations * evaluated
        if run.evaluate.test == "last_epoch":
            rows -= (run.evaluations - 1) * run.dataset.rows[1]
        return forward * (3 * run.epochs * run.dataset.training_rows + rows)

    def workspace(self, run: RunSpec, evaluated: int) -> int:
        """Return the bytes that a run needs besides parameters, optimizer state and dataset: about 3 × activations."""
        shapes = self.parameters(run.dataset.shape, run.dataset.outputs).values()
        widths = sum(shape[0] for shape in shapes if len(shape) > 1)
        batch = max(min(run.batch_rows, MICRO_ROWS), CHUNK_ROWS)
        return batch * FLOAT_BYTES * (3 * widths + math.prod(run.dataset.shape))

    @staticmethod
    def network(part: Stacked[Any], material: ParameterViews) -> Network:
        """Return the network on ``material.parameters``, which writes into its gradients."""
        raise NotImplementedError


class Search(Protocol):
    """Training rows, indexed for nearest-neighbor search."""

    @property
    def block_rows(self) -> int:
        """Number of rows per prediction, so that each call stays short."""

    def nearest(self, queries: Tensor, most: int) -> Tensor:
        """Return the indices (n, most) of the training rows nearest to each of ``queries`` (n, D), nearest first."""


class InstanceBased(Model):
    """A model that keeps its training rows and is not trained (Aha, Kibler and Albert 1991).

    The nearest training rows of every row that is evaluated are computed once; after that, the inputs of ``network``
    are their labels (K, N, most), the nearest first. There are no parameters; what changes from epoch to epoch is in
    the buffers.
    """

    trains: ClassVar[bool] = False

    def parameters(self, shape: tuple[int, ...], outputs: int) -> dict[str, tuple[int, ...]]:
        """Return no parameters."""
        return {}

    @staticmethod
    def memory(rows: Tensor) -> Search:
        """Return the raw training rows (N, D), indexed for search."""
        raise NotImplementedError

    @staticmethod
    def advance(buffers: Mapping[str, Tensor]) -> None:
        """Advance to the next epoch: change ``buffers``, each (K, *shape), in place."""
        raise NotImplementedError
