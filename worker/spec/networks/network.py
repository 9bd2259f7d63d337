"""The computation of a stack of layered models: a body run by run, and a dense head for all runs at once.

The head is the chain of dense layers and nonlinearities before the outputs, one batched product a layer. Everything
before it is the body. A batch goes through the body in pieces of ``PIECE_ROWS`` rows of one run, each on one thread,
since many operations change their bits with the number of threads (:mod:`worker.spec.networks.pieces`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from worker.spec.dense import Activation, DenseNetwork
from worker.spec.families.layer import Layer, RowDraws
from worker.spec.families.model import Hidden, HookResult, Network, ParameterViews
from worker.spec.networks.all_runs import AllRuns
from worker.spec.networks.chain import Step
from worker.spec.networks.input_gradient import InputGradient
from worker.spec.networks.pieces import Batch, Each, Piece
from worker.spec.threads import concurrent_pieces, each_on_one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.layers.dropout import DropoutLayer

T = TypeVar("T")
PIECE_ROWS = 32
"""Rows of a batch that go through the body together. Another number gives other bits."""
HEAD_ACTIVATIONS: Mapping[str, Activation] = {"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}
"""Nonlinearities that the dense head computes."""


class Head(NamedTuple):
    """The dense layers at the end of a chain."""

    begin: int
    """The position of the first of them."""
    names: tuple[str, ...]
    """Prefixes of their parameters."""
    activation: Activation
    """The nonlinearity between them."""
    dropouts: tuple[tuple[int, int], ...] = ()
    """Positions of dropout layers between them, each with the number of the hidden layer that it acts on."""

    def hidden_before(self, step: Step) -> int | None:
        """Return the number of the hidden layer whose activations ``step`` multiplies, or None."""
        return self.names.index(step.name) - 1 if step.name in self.names[1:] else None


def head_of(steps: Sequence[Step]) -> Head:
    """Return the longest chain of dense layers that ends with the outputs.

    Between two of them is a nonlinearity, the same everywhere, and perhaps dropout.
    """
    begin, activation = len(steps) - 1, None
    while True:
        between = begin - 1
        while between > 0 and steps[between].layer.kind == "dropout":
            between -= 1
        if between < 1:
            break
        dense, own = steps[between - 1], HEAD_ACTIVATIONS.get(steps[between].layer.kind)
        if dense.layer.kind != "dense" or len(dense.input) != 1 or own is None or own != (activation or own):
            break
        begin, activation = between - 1, own
    names: list[str] = []
    dropouts = []
    for position, step in enumerate(steps[begin:], begin):
        if step.layer.kind == "dense":
            names.append(step.name)
        elif step.layer.kind == "dropout":
            dropouts.append((position, len(names) - 1))
    return Head(begin, tuple(names), activation or "relu", tuple(dropouts))


class HeadHooks:
    """The hooks of regularizers on hidden layers, and after them the dropout layers between dense layers."""

    def __init__(self, hidden: Hidden, factors: Callable[[Tensor, int], Sequence[Tensor]]) -> None:
        """``factors`` returns the factors (K, N, H) of the activations of a hidden layer."""
        self.training, self.keeps = hidden.training, hidden.keeps
        self._hidden, self._factors = hidden, factors

    def __call__(self, a: Tensor, layer: int) -> HookResult:
        """Change the activations ``a`` (K, N, H) of hidden ``layer`` in place."""
        result = self._hidden(a, layer)
        for factor in self._factors(a, layer):
            a.mul_(factor)
            result = result._replace(factor=factor if result.factor is None else result.factor * factor)
        return result


class LayerNetwork(Network):
    """The network of one stack. Parts of its runs may differ in ``PerRun`` fields of their layers."""

    def __init__(self, steps: Sequence[Step], layers: Sequence[Sequence[Layer]], material: ParameterViews) -> None:
        """``layers`` are each run's own, without those that ``steps`` adds at the end."""
        head = head_of(steps)
        self._body = steps[: head.begin]
        added = [step.layer for step in steps[len(layers[0]) :]]
        self._own = [
            [(step.name, layer) for step, layer in zip(self._body, [*own, *added], strict=False)] for own in layers
        ]
        self._material = material
        self.head = DenseNetwork(material, head.activation, head.names)
        self._dropouts = [
            (hidden, f"{steps[position].name}.", [own[position] for own in layers])
            for position, hidden in head.dropouts
        ]
        names = [name for step in self._body for name in step.tensors()]
        self.trainable = names
        self._batches: list[Batch] = []
        self._place = (1, 0)
        self.all_runs = AllRuns(self)

    def seek(self, epoch: int, first: int) -> None:
        """Go to the batch that begins at position ``first`` of ``epoch``."""
        self._place = (epoch, first)

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Return outputs (K, N, outputs) of rows ``x`` (K, N, D)."""
        import torch

        if self._dropouts and hidden.training:
            hidden = HeadHooks(hidden, self._factors)
        if not self._body:
            return self.head.forward(x, hidden)
        if x.device.type != "cpu":
            return self.head.forward(self.all_runs.forward(x, training=hidden.training), hidden)
        pieces = [self._pieces_of(k, of_run) for k, of_run in enumerate(x)]
        if not hidden.training:
            features = each_on_one_thread([piece.evaluate for of_run in pieces for piece in of_run])
        else:
            self._batches = [Batch(of_run) for of_run in pieces]
            results = self._of_every_run([batch.forward for batch in self._batches])
            features = [rows for of_run in results for rows in of_run]
        return self.head.forward(torch.cat(features).view(len(x), x.shape[1], -1), hidden)

    def backward(self, g: Tensor) -> None:
        """Write the gradients of the last ``forward`` in training mode, given that of the outputs."""
        import torch

        if not self._body:
            self.head.backward(g)
            return
        inner = self.head.backward_to_inputs(g)
        if not self.trainable:
            return
        if inner.device.type != "cpu":
            self.all_runs.backward(inner)
            return
        calls = [partial(batch.backward, torch.split(inner[k], PIECE_ROWS)) for k, batch in enumerate(self._batches)]
        for k, gradients in enumerate(self._of_every_run(calls)):
            for name, gradient in zip(self.trainable, gradients, strict=True):
                self._material.gradients[name][k].copy_(gradient)
        self._batches = []

    def _pieces_of(self, k: int, x: Tensor) -> list[Piece]:
        """Return rows ``x`` (N, D) of run ``k`` in pieces."""
        pieces = []
        parameters = {name: self._material.parameters[name][k] for name in self.trainable}
        buffers = {name: self._material.buffers[name][k] for step in self._body for name in step.buffers()}
        for first in range(0, len(x), PIECE_ROWS):
            rows = x[first : first + PIECE_ROWS]
            own = {name: tensor.detach() for name, tensor in parameters.items()}
            draws = partial(self.draws_of, k, first=first, rows=len(rows))
            pieces.append(Piece(self._own[k], partial(self.rows_of, rows), own, buffers, draws))
        return pieces

    def _of_every_run(self, calls: Sequence[Callable[[Each], T]]) -> list[T]:
        """Return the results of each run's call, which gets a function that computes its pieces.

        As many runs as threads go side by side, each on one thread; the threads share the pieces of the remaining runs.
        """
        beside = len(calls) - len(calls) % concurrent_pieces()
        results = each_on_one_thread([partial(call, _in_turn) for call in calls[:beside]])
        return [*results, *(call(each_on_one_thread) for call in calls[beside:])]

    def input_gradient(self, v: Tensor) -> InputGradient:
        """Return the gradient at the inputs of ``v`` (K, N, outputs) times the outputs of the last ``forward``."""
        assert not self._body, "the gradient at the inputs is that of a dense chain"
        return InputGradient(self.head, v)

    def _factors(self, a: Tensor, hidden: int) -> list[Tensor]:
        """Return the factors of dropout layers on the activations ``a`` (K, N, H) of a hidden layer."""
        import torch

        rows, width = a.shape[1:]
        return [
            torch.stack(
                [
                    cast("DropoutLayer", own).factor(self.draws_of(k, prefix, 0, rows), width, a.dtype)
                    for k, own in enumerate(runs)
                ]
            )
            for layer, prefix, runs in self._dropouts
            if layer == hidden
        ]

    def layers_of(self, k: int) -> list[tuple[str, Layer]]:
        """Return run ``k``'s layers of the body."""
        return self._own[k]

    def rows_of(self, x: Tensor) -> Tensor:
        """Return rows (N, D) in the shape of the first layer: a copy, with a pixel's channels side by side."""
        shape = self._body[0].input
        if len(shape) == 3:
            return channels_last(x.view(-1, *shape))
        return x.reshape(-1, *shape).clone()

    def draws_of(self, k: int, prefix: str, first: int, rows: int) -> RowDraws:
        """Return the random numbers of run ``k``'s layer for ``rows`` rows from position ``first`` of the batch on."""
        epoch, begin = self._place
        draws: RowDraws = self._material.row_draws(k, f"layer/{prefix}", epoch, begin + first, rows)
        return draws

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters of the body, (K, *shape) each."""
        return {name: self._material.parameters[name] for name in self.trainable}

    def gradients(self) -> list[Tensor]:
        """Return the tensors for the gradients of these parameters, (K, *shape) each."""
        return [self._material.gradients[name] for name in self.trainable]

    def buffers(self) -> dict[str, Tensor]:
        """Return the buffers of the body, (K, *shape) each."""
        return {name: self._material.buffers[name] for step in self._body for name in step.buffers()}

    @property
    def runs_alike(self) -> bool:
        """Whether the runs differ in their tensors only."""
        return all(own == self._own[0] for own in self._own)


def _in_turn(calls: Sequence[Callable[[], T]]) -> list[T]:
    return [call() for call in calls]


def channels_last(images: Tensor) -> Tensor:
    """Return a copy of ``images`` (N, C, H, W) with a pixel's channels side by side, also in the strides.

    For one channel, torch derives the format from the strides alone, and pools channels-first six times as slowly:
    hence the copy, where ``contiguous`` would do nothing.
    """
    import torch

    return images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
