"""ONNX graphs under construction, to which models and regularizers add their computation.

Models do so in :meth:`Model.onnx`, and regularizers that act in evaluation mode in :meth:`Regularizer.onnx_scale`. The
graph is built without torch or tracing; :mod:`worker.spec.onnx_file` makes a file of it.

Reference: Bai, Lu, Zhang et al., 2017–, "ONNX: Open Neural Network Exchange".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NewType, Protocol

if TYPE_CHECKING:
    import numpy as np
    import onnx

    Weights = Mapping[str, np.ndarray[Any, Any]]
    Scale = float | np.ndarray[Any, Any]
    """A number for all inputs, or one for each, (D,)."""

Value = NewType("Value", str)
"""The name of a tensor in a graph."""
OPSET, IR_VERSION = 17, 8
"""Versions of 2022, which all current runtimes support."""
ML, ML_OPSET = "ai.onnx.ml", 2
"""The domain of operators on texts."""


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
