"""ONNX files of trained models, built from a run's spec and weights without torch or tracing.

Models add their computation to a graph in :meth:`Model.onnx`, and regularizers that act in evaluation mode in
:meth:`Regularizer.onnx_scale`. Inputs and outputs of the graph:

    input          rows as the dataset has them, float32 (rows, *shape): raw pixel values, not scaled
    logits         (rows, classes)
    probabilities  (rows, classes), their softmax

or, in a regression,

    prediction     (rows, 1), in the target's own unit

The graph of a typed table has an input for each column that the model uses, named like the column: double (rows, 1) for
numbers and for dates (seconds since 1970 UTC), NaN where missing; string (rows, 1) for categories and booleans ("true",
"false"), empty where missing. The preparation is part of the graph: it is computed in double and rounded to float32.

Reference: Bai, Lu, Zhang et al., 2017–, "ONNX: Open Neural Network Exchange".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NewType, Protocol

from worker.spec.families.hooks import defines

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from worker.spec.families.dataset import Dataset
    from worker.spec.run import RunSpec
    from worker.spec.tables.fitted import Fitted
    from worker.spec.tables.schema import Column

    Weights = Mapping[str, np.ndarray[Any, Any]]
    Scale = float | np.ndarray[Any, Any]
    """A number for all inputs, or one for each, (D,)."""

Value = NewType("Value", str)
"""The name of a tensor in a graph."""
OPSET, IR_VERSION = 17, 8
"""Versions of 2022, which all current runtimes support."""
ML, ML_OPSET = "ai.onnx.ml", 2
"""The domain of operators on texts."""
INPUT, LOGITS, PROBABILITIES, PREDICTION = "input", "logits", "probabilities", "prediction"


class NoGraph(Exception):
    """The model cannot be exported to ONNX."""


class HiddenValue(Protocol):
    """Hooks on the activations between a model's layers, in evaluation mode."""

    def __call__(self, a: Value, layer: int) -> Value:
        """Return the input of the next layer for activations ``a`` (rows, H) of hidden ``layer``."""


class Graph:
    """A graph under construction. Names of nodes depend only on the nodes before them."""

    def __init__(self, weights: Weights, *, rounded: bool = False, inputs: Collection[str] = ()) -> None:
        """Begin a graph.

        Args:
            weights: The model's parameters and buffers.
            rounded: Whether dense layers multiply numbers rounded to bfloat16.
            inputs: The names of the columns of a table, which no other value of the graph may have.
        """
        self.rounded = rounded
        self._inputs = inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._weights = weights

    def weight(self, name: str) -> Value:
        """Return one of the run's parameters or buffers."""
        from onnx import numpy_helper

        unique = self._unique(name)
        if unique not in self.constants:
            self.constants[unique] = numpy_helper.from_array(self._weights[name], unique)
        return Value(unique)

    def array(self, name: str) -> np.ndarray[Any, Any]:
        """Return one of the run's parameters or buffers as an array."""
        return self._weights[name]

    def _unique(self, name: str) -> str:
        """Return a name that no input has."""
        while name in self._inputs:
            name += "_"
        return name

    def doubles(self, values: Scale | Sequence[float]) -> Value:
        """Return a double constant."""
        return self._constant(values, "float64")

    def integers(self, values: Sequence[int]) -> Value:
        """Return an int64 constant."""
        return self._constant(values, "int64")

    def number(self, value: Scale) -> Value:
        """Return a float32 constant for all inputs, or one for each."""
        return self._constant(value, "float32")

    def numbers(self, values: Sequence[float]) -> Value:
        """Return a float32 constant for each channel."""
        return self._constant(values, "float32")

    def sizes(self, sizes: Sequence[int]) -> Value:
        """Return the target shape of a Reshape; −1 is inferred, 0 is unchanged."""
        return self._constant(sizes, "int64")

    def _constant(self, values: Scale | Sequence[float], dtype: str) -> Value:
        import numpy as np
        from onnx import numpy_helper

        name = self._unique(f"constant_{len(self.constants)}")
        self.constants[name] = numpy_helper.from_array(np.array(values, dtype), name)
        return Value(name)

    def node(self, operator: str, *inputs: Value, output: str | None = None, **attributes: Any) -> Value:
        """Add an operator on ``inputs``, and return its result."""
        from onnx import helper

        name = output or self._unique(f"{operator.lower()}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return Value(name)

    def code_of(self, texts: Value, codes: Mapping[str, int], default: int) -> Value:
        """Return the int64 code of each text, or the default."""
        keys, values = list(codes), list(codes.values())
        return self.node(
            "LabelEncoder", texts, domain=ML, keys_strings=keys, values_int64s=values, default_int64=default
        )

    def as_float(self, value: Value) -> Value:
        """Return truth values as float32."""
        from onnx import TensorProto

        return self.node("Cast", value, to=TensorProto.FLOAT)

    def rounded_to_float(self, value: Value) -> Value:
        """Return doubles as float32; numbers beyond its range are cut to it."""
        import numpy as np

        largest = float(np.finfo(np.float32).max)
        return self.as_float(self.node("Clip", value, self.doubles(-largest), self.doubles(largest)))

    def as_double(self, value: Value) -> Value:
        """Return integers as doubles."""
        from onnx import TensorProto

        return self.node("Cast", value, to=TensorProto.DOUBLE)

    def features(self, *columns: Value) -> Value:
        """Return features (rows, …), all of one type, side by side."""
        return columns[0] if len(columns) == 1 else self.node("Concat", *columns, axis=1)

    def in_bfloat16(self, value: Value) -> Value:
        """Return ``value`` rounded to bfloat16, as float32."""
        from onnx import TensorProto

        return self.node("Cast", self.node("Cast", value, to=TensorProto.BFLOAT16), to=TensorProto.FLOAT)

    def affine(self, h: Value, w: Value, b: Value) -> Value:
        """Return h·Wᵀ + b."""
        if not self.rounded:
            return self.node("Gemm", h, w, b, transB=1)
        turned = self.node("Transpose", self.in_bfloat16(w), perm=[1, 0])
        return self.node("Add", self.node("MatMul", self.in_bfloat16(h), turned), b)


class Scaling(NamedTuple):
    """The engine's scale and shift of raw inputs and of numeric targets."""

    scale: Scale
    shift: Scale
    target_scale: float = 1.0
    target_shift: float = 0.0


def onnx_of(
    spec: RunSpec,
    weights: Weights,
    metadata: Mapping[str, str],
    *,
    scaling: Scaling | None = None,
    table: Fitted | None = None,
) -> bytes:
    """Return the ONNX file of the model of ``spec`` with ``weights``. Equal arguments give equal bytes.

    ``scaling`` defaults to that of the spec. With the preparation of a ``table``, inputs are its columns; without it,
    rows of numbers.

    Raises:
        NoGraph: A part of the spec has no ONNX form, or the weights do not fit the model.
    """
    from onnx import TensorProto, helper

    _check(spec, weights)
    inputs = [] if table is None else input_names(table)
    graph = Graph(weights, rounded=spec.precision == "bfloat16", inputs=inputs)
    x = Value(INPUT) if table is None else _prepared(graph, table)
    named = _named_outputs(graph, spec, scaling or scaling_of(spec.dataset), x)
    drawn = helper.make_graph(
        graph.nodes,
        spec.model.kind,
        _inputs(spec, table),
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, ["rows", spec.dataset.outputs]) for o in named],
        list(graph.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), *([] if table is None else [helper.make_opsetid(ML, ML_OPSET)])]
    model = helper.make_model(drawn, opset_imports=opsets, ir_version=IR_VERSION, producer_name="fitwell")
    helper.set_model_props(model, {**metadata, **({} if table is None else table_metadata(table))})
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _inputs(spec: RunSpec, table: Fitted | None) -> list[onnx.ValueInfoProto]:
    """Return the inputs of the graph: rows of numbers, or the columns of a table."""
    from onnx import TensorProto, helper

    if table is None:
        return [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", *spec.dataset.shape])]
    return [
        helper.make_tensor_value_info(
            input_name(column), TensorProto.STRING if column.coded else TensorProto.DOUBLE, ["rows", 1]
        )
        for column in _columns(table)
    ]


def _columns(table: Fitted) -> tuple[Column, ...]:
    return table.columns.used(table.schema)


def input_name(column: Column) -> str:
    """Return the name of a column's input: its own, unless an output has it."""
    return f"{column.name} (input)" if column.name in (LOGITS, PROBABILITIES, PREDICTION) else column.name


def input_names(table: Fitted) -> list[str]:
    """Return the names of the inputs of a table's graph."""
    return [input_name(column) for column in _columns(table)]


def table_metadata(table: Fitted) -> dict[str, str]:
    """Return the columns of a table's graph for the file's metadata: ``inputs`` and ``features``, as JSON."""
    inputs = [
        {"input": input_name(column), "column": column.name, "type": column.type, "levels": list(column.levels)}
        for column in _columns(table)
    ]
    return {
        "inputs": json.dumps(inputs, ensure_ascii=False),
        "features": json.dumps(table.features, ensure_ascii=False),
    }


def _prepared(graph: Graph, table: Fitted) -> Value:
    """Add the preparation of a table's columns to the graph, and return the features (rows, D) float32."""
    return graph.features(
        *(
            table.columns.of(column).onnx(graph, column, table.states[column.name], Value(input_name(column)))
            for column in _columns(table)
            if table.columns.of(column).features(column)
        )
    )


def _named_outputs(graph: Graph, spec: RunSpec, scaling: Scaling, x: Value) -> tuple[str, ...]:
    """Add the named outputs of rows ``x`` to the graph, and return their names."""
    outputs = _outputs(graph, spec, scaling, x)
    if spec.dataset.task == "classification":
        graph.node("Softmax", graph.node("Identity", outputs, output=LOGITS), output=PROBABILITIES, axis=1)
        return LOGITS, PROBABILITIES
    shifted = graph.node("Sub", outputs, graph.number(scaling.target_shift))
    graph.node("Div", shifted, graph.number(scaling.target_scale), output=PREDICTION)
    return (PREDICTION,)


def scaling_of(dataset: Dataset) -> Scaling:
    """Return the scaling in the spec: inputs to [0, 1] and normalized, targets unchanged."""
    mean, std = (dataset.normalize.mean, dataset.normalize.std) if dataset.normalize else (0.0, 1.0)
    return Scaling(1 / (dataset.white * std), -mean / std)


def _check(spec: RunSpec, weights: Weights) -> None:
    """Refuse models that cannot be exported."""
    if not spec.model.trains:
        raise NoGraph(
            f"A model of kind {spec.model.kind!r} is its training rows, which are in none of its files: it has no ONNX "
            "and predicts nothing here. Its losses and accuracies are in the history."
        )
    if not defines(type(spec.model), "onnx"):
        raise NoGraph(
            f"A model of kind {spec.model.kind!r} has no ONNX, of which predictions are made: its file brings no "
            "method onnx."
        )
    for part in spec.regularizers:
        if defines(type(part), "scale") and not defines(type(part), "onnx_scale"):
            raise NoGraph(
                f"The regularizer {part.kind!r} acts in evaluation mode and cannot be written as ONNX: its file brings "
                "no method onnx_scale."
            )
    shape, outputs = spec.dataset.shape, spec.dataset.outputs
    model = spec.effective_model
    expected = model.parameters(shape, outputs) | model.buffers(shape)
    for name, size in expected.items():
        if name not in weights or weights[name].shape != size:
            problem = f"has the shape {weights[name].shape}" if name in weights else "is missing"
            raise NoGraph(f"The weights are not of this model: {name!r} {problem} instead of {size}.")


def _outputs(graph: Graph, spec: RunSpec, scaling: Scaling, raw: Value) -> Value:
    """Add the model from raw rows to outputs."""
    acting = [part for part in spec.regularizers if defines(type(part), "onnx_scale")]

    def hidden(a: Value, layer: int) -> Value:
        for part in acting:
            a = part.onnx_scale(graph, a, layer)
        return a

    x = graph.node("Flatten", raw, axis=1)
    scale, shift = graph.number(scaling.scale), graph.number(scaling.shift)
    x = graph.node("Add", graph.node("Mul", x, scale), shift)
    outputs: Value = spec.effective_model.onnx(graph, hidden(x, -1), spec.dataset.shape, hidden)
    return outputs
