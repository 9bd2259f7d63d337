"""Models that are chains of layers: everything that follows from the layers."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from worker.spec.dense import Activation
from worker.spec.families.layer import DoesNotFit, Layer, Names, Shape
from worker.spec.families.model import (
    CHUNK_ROWS,
    FLOAT_BYTES,
    MICRO_ROWS,
    Initialization,
    LayerSummary,
    Model,
    Network,
    ParameterViews,
)
from worker.spec.initialization import Init
from worker.spec.layers.dense import DenseLayer
from worker.spec.layers.embedding import EmbeddingLayer
from worker.spec.layers.flatten import FlattenLayer
from worker.spec.layers.relu import ReLULayer
from worker.spec.layers.sigmoid import SigmoidLayer
from worker.spec.layers.tanh import TanhLayer
from worker.spec.networks.chain import Step
from worker.spec.networks.network import LayerNetwork, head_of
from worker.spec.part import Objection, Stacked

if TYPE_CHECKING:
    from worker.spec.graph import Graph, HiddenValue, Value
    from worker.spec.run import RunSpec


NONLINEARITIES: Mapping[Activation, Layer] = {"relu": ReLULayer(), "tanh": TanhLayer(), "sigmoid": SigmoidLayer()}
DENSE_KINDS = frozenset({"dense", "dropout", *NONLINEARITIES})
"""Layers of which the dense head can consist."""


class LayeredModel(Model):
    """A model that is a chain of named layers and ends with a dense layer to the outputs."""

    if TYPE_CHECKING:
        init: Init

    def named_layers(self) -> Sequence[tuple[str, Layer]]:
        """Return the layers before the output layer, in order, with the prefixes of their parameters."""
        raise NotImplementedError

    @property
    def output_name(self) -> str:
        """Prefix of the output layer's parameters."""
        return "output"

    def place_of(self, index: int) -> tuple[str | int, ...]:
        """Return the place in the model of layer ``index``, for messages."""
        return ()

    @property
    def vocabulary(self) -> int | None:
        """The number of tokens that rows may hold, if the first layer takes tokens; otherwise None."""
        first = next((layer for _, layer in self.named_layers()), None)
        return first.vocabulary if isinstance(first, EmbeddingLayer) else None

    def row_shape(self, shape: Shape) -> Shape:
        """Return the shape in which rows of the dataset arrive: grey images have one channel."""
        return (1, *shape) if len(shape) == 2 else shape

    def steps(self, shape: Shape, outputs: int) -> tuple[Step, ...]:
        """Return all layers with their shapes, output layer included, for rows of the dataset's ``shape``.

        Raises:
            DoesNotFit: A layer cannot take the rows that arrive.
        """
        return _steps(self, shape, outputs)

    def _fitting(self, shape: Shape, outputs: int) -> tuple[Step, ...]:
        """Return the layers, or none if they do not fit, which ``objections`` reports."""
        try:
            return self.steps(shape, outputs)
        except DoesNotFit:
            return ()

    def fits(self, shape: Shape, outputs: int) -> bool:
        """Return whether the layers fit rows of ``shape`` and each other."""
        return bool(self._fitting(shape, outputs))

    def summary(self, shape: Shape, outputs: int) -> list[LayerSummary]:
        """Return a table of the layers."""
        return [
            LayerSummary(
                step.name,
                step.layer.kind,
                step.output,
                sum(math.prod(size) for size in step.tensors().values()),
                step.layer.flops(step.input),
                step.layer.activations(step.input),
            )
            for step in self._fitting(shape, outputs)
        ]

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse layers that do not fit, or cannot be trained on the smallest batch."""
        model = run.effective_model
        assert isinstance(model, LayeredModel)
        try:
            steps = model.steps(run.dataset.shape, run.dataset.outputs)
        except DoesNotFit as refusal:
            field = ".".join(map(str, refusal.steps)) or None
            return [Objection(field=field, message=refusal.message, allowed=list(refusal.allowed))]
        if run.precision == "bfloat16" and any(step.layer.kind == "dense" for step in steps[: head_of(steps).begin]):
            message = (
                f"precision {run.precision!r} rounds the factors of dense layers that directly precede the outputs; "
                "this model has others. Use 'float32'."
            )
            return [Objection(field=None, message=message)]
        return [*self._of_layers(run), *model._batch_objections(run, steps)]

    def _of_layers(self, run: RunSpec) -> Iterator[Objection]:
        """Yield the objections of layers, and of those inside them, to the rest of the run."""
        for i, (_, outer) in enumerate(self.named_layers()):
            for steps, layer in outer.walk():
                objections = layer.objections(run)
                if layer.takes_dataset and (i or steps):
                    message = f"{layer.kind!r} takes rows of the dataset: make it the first layer of the model."
                    objections = [Objection(field=None, message=message)]
                elif layer.takes_dataset and run.dataset.embedded:
                    message = (
                        f"{layer.kind!r} takes rows of the dataset, and embedded columns come before it: prepare "
                        "categories with another encode than 'embedding', or leave them out."
                    )
                    objections = [Objection(field=None, message=message)]
                for objection in objections:
                    field = ".".join(map(str, (*self.place_of(i), *steps, *filter(None, [objection.field]))))
                    yield objection.model_copy(update={"field": field or None})

    def _batch_objections(self, run: RunSpec, steps: Sequence[Step]) -> Iterator[Objection]:
        """Yield objections of layers to too small a batch, or too small a part of one."""
        rows, batch = run.dataset.training_rows, run.batch_rows
        if rows < 1:
            return  # the dataset objects
        fewest = min((size - 1) % MICRO_ROWS + 1 for size in (batch, rows % batch) if size)
        for i, step in enumerate(steps):
            if step.layer.min_rows(step.input) > fewest:
                message = (
                    f"{step.layer.kind!r} needs at least {step.layer.min_rows(step.input)} rows that are computed "
                    f"together, and batches of {batch:,} of {rows:,} rows leave {fewest}; use another batch_size."
                )
                yield Objection(field=".".join(map(str, self.place_of(i))) or None, message=message)

    def hidden_layers(self, shape: Shape) -> int:
        """Return the number of dense hidden layers before the output."""
        steps = self._fitting(shape, 1)
        return len(head_of(steps).names) - 1 if steps else 0

    def is_dense(self, shape: Shape, outputs: int) -> bool:
        """Return whether dense layers with one nonlinearity between them are all of the model."""
        steps = self._fitting(shape, outputs)
        return bool(steps) and head_of(steps).begin == 0

    @property
    def in_pieces(self) -> bool:
        """Whether some layers are computed in pieces."""
        return any(layer.kind not in DENSE_KINDS for _, layer in self.named_layers())

    def parameters(self, shape: Shape, outputs: int) -> dict[str, Shape]:
        """Return those of all layers, in order."""
        return {name: size for step in self._fitting(shape, outputs) for name, size in step.tensors().items()}

    def buffers(self, shape: Shape) -> dict[str, Shape]:
        """Return those of all layers, in order."""
        return {name: size for step in self._fitting(shape, 1) for name, size in step.buffers().items()}

    def initialization(self, name: str, shape: Shape, fan_in: int) -> Initialization:
        """Return what the layer of that name says."""
        layers = dict(self.named_layers())
        layers[self.output_name] = DenseLayer(width=1)
        prefix = max((p for p in layers if p and name.startswith(f"{p}.")), key=len)
        return layers[prefix].initialization(name.removeprefix(f"{prefix}."), shape, fan_in, self.init)

    def flops(self, shape: Shape, outputs: int) -> int:
        """Return the sum over the layers."""
        return sum(step.layer.flops(step.input) for step in self._fitting(shape, outputs))

    def workspace(self, run: RunSpec, evaluated: int) -> int:
        """Return the bytes of activations and their gradients.

        The body keeps the activations of a batch until the way back, and evaluates a few rows at a time; the head has
        buffers for whole batches and chunks of evaluation. A ResNet-20 takes 0.8 times the body's activations.
        """
        steps = self._fitting(run.dataset.shape, run.dataset.outputs)
        begin = head_of(steps).begin if steps else 0
        body, head = (
            sum(step.layer.activations(step.input) for step in part) for part in (steps[:begin], steps[begin:])
        )
        batch = min(run.batch_rows, MICRO_ROWS)
        return FLOAT_BYTES * (batch * body + max(batch, CHUNK_ROWS) * (3 * head + math.prod(run.dataset.shape)))

    def onnx(self, graph: Graph, x: Value, shape: Shape, hidden: HiddenValue) -> Value:
        """Return the chain, with ``hidden`` on the activations of dense hidden layers before the output."""
        steps = self.steps(shape, 1)
        head = head_of(steps)
        row = steps[0].input if steps else shape
        if len(row) > 1:
            x = graph.node("Reshape", x, graph.sizes([-1, *row]))
        names = Names(graph)
        for step in steps:
            if (layer := head.hidden_before(step)) is not None:
                x = hidden(x, layer)
            x = step.layer.onnx(graph, x, step.input, names.within(step.name))
        return x

    @staticmethod
    def network(part: Stacked[Any], material: ParameterViews) -> Network:
        """Return the computation of the stack."""
        steps = part.parts[0].steps(material.shape, material.outputs)
        return LayerNetwork(steps, [[layer for _, layer in model.named_layers()] for model in part.parts], material)


@functools.lru_cache(maxsize=512)
def _steps(model: LayeredModel, shape: Shape, outputs: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    current = model.row_shape(shape)
    named = [*model.named_layers()]
    for i, (name, layer) in enumerate(named):
        try:
            output = layer.output_shape(current)
        except DoesNotFit as refusal:
            raise refusal.below(*model.place_of(i)) from None
        steps.append(Step(name, layer, current, output))
        current = output
    if len(current) > 1:
        steps.append(Step("", FlattenLayer(), current, (math.prod(current),)))
    width = math.prod(current)
    steps.append(Step(model.output_name, DenseLayer(width=outputs), (width,), (outputs,)))
    return tuple(steps)


def dense_chain(hidden: Sequence[int], activation: Activation, prefix: str = "layers") -> list[tuple[str, Layer]]:
    """Return named dense layers of these widths, each followed by a nonlinearity."""
    return [
        named
        for i, width in enumerate(hidden)
        for named in ((f"{prefix}.{i}", DenseLayer(width=width)), ("", NONLINEARITIES[activation]))
    ]
