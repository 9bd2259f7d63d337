"""Models on tables with embedded columns: before the model's layers, trained vectors replace features of categories.

    y = [x_before, z·W, x_after],    z: the 0/1 features of a column, W: a vector for each of its categories

A category is one 1 among zeros, so z·W is the vector of that category, as in an embedding. Rows that a regularizer
mixes are mixtures of vectors. Vectors begin standard normal.

Reference: Guo and Berkhahn, 2016, "Entity embeddings of categorical variables"; ``torch.nn.Embedding``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from worker.spec.families.layer import Layer, LayerState, Names, Shape
from worker.spec.families.model import Initialization, Model
from worker.spec.initialization import Init
from worker.spec.networks.model import LayeredModel
from worker.spec.tables.embedded import EmbeddedColumn

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, Value

NAME = "columns"
"""Prefix of the parameters of the first layer: ``columns.0.weight`` has the vectors of the first embedded column."""


class ColumnEmbeddingLayer(Layer):
    """A vector for each category of the embedded columns of a table; other features stay as they are."""

    kind: Literal["column_embedding"] = "column_embedding"
    columns: tuple[EmbeddedColumn, ...]

    def output_shape(self, shape: Shape) -> Shape:
        """Return the number of features with vectors in the place of categories."""
        return (shape[0] + sum(column.width - column.features for column in self.columns),)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Return a matrix for each column, with a row for each category."""
        return {f"{i}.weight": (column.features, column.width) for i, column in enumerate(self.columns)}

    def initialization(self, name: str, shape: Shape, fan_in: int, init: Init) -> Initialization:
        """Return the standard normal distribution."""
        return Initialization("normal", 1.0)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """Return features (N, D') of features ``x`` (N, D)."""
        import torch

        parts = [
            x[:, begin:end] if i is None else x[:, begin:end] @ state[f"{i}.weight"]
            for begin, end, i in self._sections(x.shape[1])
        ]
        return torch.cat(parts, 1)

    def onnx(self, graph: Graph, x: Value, shape: Shape, names: Names) -> Value:
        """Return the same."""
        parts = []
        for begin, end, i in self._sections(shape[0]):
            section = graph.node("Slice", x, graph.integers([begin]), graph.integers([end]), graph.integers([1]))
            parts.append(section if i is None else graph.node("MatMul", section, names[f"{i}.weight"]))
        return graph.features(*parts)

    def module(self, shape: Shape) -> str:
        """Return ``ColumnEmbedding``, a list of ``nn.Embedding``."""
        columns = ", ".join(str((column.begin, column.features, column.width)) for column in self.columns)
        return f"ColumnEmbedding([{columns}])"

    def _sections(self, features: int) -> list[tuple[int, int, int | None]]:
        """Return begin and end of each section of a row, and the number of the column that it embeds, if it does."""
        embedded = {column.begin: i for i, column in enumerate(self.columns)}
        bounds = {0, features, *embedded, *(column.end for column in self.columns)}
        return [(begin, end, embedded.get(begin)) for begin, end in pairwise(sorted(bounds))]


class EmbeddedModel(LayeredModel):
    """A model of layers after the embedding of columns."""

    init: Init
    model: LayeredModel
    embedding: ColumnEmbeddingLayer

    def named_layers(self) -> Sequence[tuple[str, Layer]]:
        """Return the embedding, then the model's layers."""
        return [(NAME, self.embedding), *self.model.named_layers()]

    @property
    def output_name(self) -> str:
        """That of the model."""
        return self.model.output_name

    def place_of(self, index: int) -> tuple[str | int, ...]:
        """Return the place in the model, which does not have the embedding."""
        return self.model.place_of(index - 1) if index else ()


def with_embedding(model: Model, columns: tuple[EmbeddedColumn, ...]) -> Model:
    """Return ``model`` after the embedding of ``columns``; itself without columns, or if it has no layers."""
    if not columns or not isinstance(model, LayeredModel):
        return model
    layer = ColumnEmbeddingLayer(columns=columns)
    return EmbeddedModel(kind=model.kind, init=model.init, model=model, embedding=layer)
