"""ONNX files of trained models, built from a run's spec and weights.

Inputs and outputs of the graph are

    input          rows as the dataset has them, float32 (rows, *shape): raw pixel values, not scaled
    logits         (rows, classes)
    probabilities  (rows, classes), their softmax

or, in a regression,

    prediction     (rows, 1), in the target's own unit

The graph of a typed table has an input for each column that the model uses, named like the column: double (rows, 1) for
numbers and for dates (seconds since 1970 UTC), NaN where missing; string (rows, 1) for categories and booleans ("true",
"false"), empty where missing. The preparation is part of the graph: it is computed in double and rounded to float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from worker.spec.families.hooks import defines
from worker.spec.graph import IR_VERSION, ML, ML_OPSET, OPSET, Graph, NoGraph, Value

if TYPE_CHECKING:
    import onnx

    from worker.spec.families.dataset import Dataset
    from worker.spec.graph import Scale, Weights
    from worker.spec.run import RunSpec
    from worker.spec.tables.fitted import Fitted
    from worker.spec.tables.schema import Column

INPUT, LOGITS, PROBABILITIES, PREDICTION = "input", "logits", "probabilities", "prediction"


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
