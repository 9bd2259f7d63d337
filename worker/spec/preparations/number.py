"""Numbers: imputed, transformed, scaled.

    z = (g(x) − a) / b,    g(x) = x, or sign(x)·log(1 + |x|)

``a`` and ``b`` are mean and standard deviation, minimum and range, or median and interquartile range of the training
rows, after missing values were replaced. ``quantile`` maps the training rows' quantiles to those of the standard normal
distribution, linearly between them. A column that is constant over the training rows becomes 0.

Reference: Pedregosa et al., 2011, "Scikit-learn: machine learning in Python" (SimpleImputer, StandardScaler,
MinMaxScaler, RobustScaler, QuantileTransformer).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.preparation import Preparation, missing_feature
from worker.spec.tables.schema import Column, ColumnType

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.families.preparation import State
    from worker.spec.graph import Graph, Value

    Values = np.ndarray[Any, Any]

Impute = Literal["mean", "median", "constant"]
Scale = Literal["standard", "minmax", "robust", "quantile", "none"]
KNOTS = 101
"""Quantiles of ``quantile`` at most."""
HUGE, UNIT = 2.0**500, 2.0**700
"""Squares of numbers beyond HUGE overflow; they are divided by UNIT, a power of two, so exactly."""
TAIL = 1e-3
"""Probability beyond the first and last knot of ``quantile``."""


class Number(Preparation):
    """A number, scaled; missing values are replaced, and marked by a feature of their own."""

    equation: ClassVar[str] = "z = (g(x) − a) / b"
    reference: ClassVar[str] = "Pedregosa et al. 2011, Scikit-learn: machine learning in Python"
    column_type: ClassVar[ColumnType] = "number"

    kind: Literal["number"] = "number"
    impute: Impute = Field(default="mean", description="Replaces missing values, over the training rows.")
    fill: float = Field(default=0.0, description="The replacement if impute is constant.")
    indicator: bool = Field(
        default=True, description="Add a feature that is 1 where the value is missing, if training data lack values."
    )
    scale: Scale = Field(default="standard", description="Scale of the feature, over the training rows.")
    log: bool = Field(default=False, description="Take sign(x)·log(1 + |x|) first.")

    def features(self, column: Column) -> tuple[str, ...]:
        """The value, and whether it is missing."""
        marked = self.indicator and column.missing
        return (column.name, *(missing_feature(column) if marked else ()))

    def fit(self, column: Column, values: Values) -> State:
        """The replacement, and what the scale needs."""
        import numpy as np

        observed = self._transformed(values[~np.isnan(values)])
        fill = np.array([self._replacement(observed)])
        x = np.concatenate([observed, np.repeat(fill, len(values) - len(observed))])
        if self.scale == "quantile":
            return {"fill": fill, **_quantiles(x)}
        shift, width = _location(x, self.scale)
        return {"fill": fill, "shift": np.array([shift]), "factor": np.array([1 / width if width > 0 else 0.0])}

    def transform(self, column: Column, state: State, values: Values) -> Values:
        """Replace, transform, scale; and mark missing values."""
        import numpy as np

        absent = np.isnan(values)
        x = np.where(absent, state["fill"], self._transformed(values))
        if self.scale == "quantile":
            scaled = np.interp(x, state["knots"], state["scores"])
        else:
            scaled = (x - state["shift"]) * state["factor"]
        marked = len(self.features(column)) > 1
        return np.stack([scaled, absent.astype(np.float64)] if marked else [scaled], 1)

    def onnx(self, graph: Graph, column: Column, state: State, values: Value) -> Value:
        """The same of doubles."""
        absent = graph.node("IsNaN", values)
        transformed = _signed_log1p(graph, values) if self.log else values
        x = graph.node("Where", absent, graph.doubles(state["fill"]), transformed)
        if self.scale == "quantile":
            scaled = _interpolated(graph, x, state["knots"], state["scores"])
        else:
            shifted = graph.node("Sub", x, graph.doubles(state["shift"]))
            scaled = graph.node("Mul", shifted, graph.doubles(state["factor"]))
        marked = len(self.features(column)) > 1
        return graph.features(graph.rounded_to_float(scaled), *([graph.as_float(absent)] if marked else []))

    def _transformed(self, values: Values) -> Values:
        import numpy as np

        return np.sign(values) * np.log1p(np.abs(values)) if self.log else values

    def _replacement(self, observed: Values) -> float:
        """Return the replacement of missing values, as transformed."""
        import numpy as np

        if self.impute == "constant":
            return float(self._transformed(np.array(self.fill)))
        if not len(observed):
            return 0.0
        unit = 1.0 if np.abs(observed).max() < HUGE else UNIT
        return float((np.mean if self.impute == "mean" else np.median)(observed / unit)) * unit


def _location(x: Values, scale: Scale) -> tuple[float, float]:
    """Return the location and the width of ``x`` (n,); width 0 means that the column is constant."""
    import numpy as np

    if scale == "none":
        return 0.0, 1.0
    low, high = float(x.min()), float(x.max())
    if low == high:
        return low, 0.0
    if scale == "minmax":
        return low, high - low
    unit = 1.0 if max(-low, high) < HUGE else UNIT
    mean = float(np.mean(x / unit)) * unit
    standard = mean, float(np.sqrt(np.mean(np.square(x / unit - mean / unit)))) * unit
    if scale == "standard":
        return standard
    first, median, third = (float(q) for q in np.quantile(x, (0.25, 0.5, 0.75)))
    return median, third - first if third > first else standard[1]


def _quantiles(x: Values) -> dict[str, Values]:
    """Return the distinct quantiles of ``x`` and the normal scores of their mean probabilities."""
    import numpy as np

    p = np.linspace(0, 1, min(KNOTS, max(len(x), 2)))
    knots, places = np.unique(np.quantile(x, p), return_inverse=True)
    means = np.bincount(places, p) / np.bincount(places)
    normal = NormalDist()
    scores = np.array([normal.inv_cdf(min(max(one, TAIL), 1 - TAIL)) for one in means.tolist()])
    return {"knots": knots, "scores": scores if len(knots) > 1 else np.zeros(1)}


def _signed_log1p(graph: Graph, x: Value) -> Value:
    """Add sign(x)·log(1 + |x|), accurate for small x as well: u = 1 + |x| rounded, then log(u)·|x|/(u − 1).

    Reference: Goldberg, 1991, "What every computer scientist should know about floating-point arithmetic" (theorem 4).
    """
    one, size = graph.doubles(1.0), graph.node("Abs", x)
    u = graph.node("Add", size, one)
    ratio = graph.node("Div", size, graph.node("Sub", u, one))
    exact = graph.node("Mul", graph.node("Log", u), ratio)
    small = graph.node("Where", graph.node("Equal", u, one), size, exact)
    return graph.node("Mul", graph.node("Sign", x), small)


def _interpolated(graph: Graph, x: Value, knots: Values, scores: Values) -> Value:
    """Add the function that is linear between ``scores`` at ``knots`` and constant beyond them: a sum of ramps."""
    import numpy as np

    if len(knots) == 1:
        zero = graph.doubles(0.0)
        return graph.node("Clip", x, zero, zero)
    distance = graph.node("Sub", x, graph.doubles(knots[:-1]))
    ramps = graph.node(
        "Clip", graph.node("Div", distance, graph.doubles(np.diff(knots))), graph.doubles(0.0), graph.doubles(1.0)
    )
    risen = graph.node("MatMul", ramps, graph.doubles(np.diff(scores)[:, None]))
    return graph.node("Add", risen, graph.doubles(scores[:1]))
