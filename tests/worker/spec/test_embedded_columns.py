"""Embedded columns against ``torch.nn.Embedding``, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.laws.strategies import parsed
from tests.worker.spec.layers import contract
from tests.worker.spec.layers.contract import Draws, Example
from worker.spec.families.layer import LayerState
from worker.spec.networks.chain import forward
from worker.spec.networks.embedded import ColumnEmbeddingLayer
from worker.spec.networks.model import LayeredModel
from worker.spec.preparations.category import Category
from worker.spec.run import RunSpec
from worker.spec.tables.bundled import BundledTable
from worker.spec.tables.embedded import EmbeddedColumn
from worker.spec.tables.rows import MISSING, UNSEEN
from worker.spec.tables.schema import Column

EMBEDDING = {"encode": "embedding"}
LEVELS = ("a", "b", "c", "d")


def spec_with(category: dict[str, Any], **changes: Any) -> RunSpec:
    """Return a run on the penguins, whose columns ``island`` and ``sex`` are prepared by ``category``."""
    dataset = {"kind": "penguins", "columns": {"category": category}, **changes.pop("dataset", {})}
    body = {"model": {"kind": "mlp", "hidden": [6]}, "optimizer": {"kind": "sgd", "lr": 0.1}, "dataset": dataset}
    return parsed({**body, **changes})


def columns(*places: tuple[int, int, int]) -> ColumnEmbeddingLayer:
    return ColumnEmbeddingLayer(
        columns=tuple(EmbeddedColumn(begin=begin, features=count, width=width) for begin, count, width in places)
    )


@pytest.mark.parametrize("layer", [columns((0, 3, 2), (3, 2, 1), (7, 4, 4)), columns((2, 9, 3))])
@pytest.mark.parametrize("rule", contract.RULES)
def test_layer_keeps_the_contract(layer: ColumnEmbeddingLayer, rule: Callable[[Example], None]) -> None:
    rule(Example(layer, (11,)))


@pytest.mark.parametrize(
    "model",
    [
        {"kind": "linear"},
        {"kind": "mlp", "hidden": [6], "activation": "tanh"},
        {"kind": "sequential", "layers": [{"kind": "dense", "width": 6}, {"kind": "tanh"}]},
    ],
)
def test_model_equals_torchs_embedding_and_linear_layers(model: dict[str, Any]) -> None:
    spec = spec_with({**EMBEDDING, "width": 2}, model=model)
    assert isinstance(spec.dataset, BundledTable)
    assert isinstance(spec.effective_model, LayeredModel)
    generator = torch.Generator().manual_seed(0)
    codes = torch.stack(
        [torch.randint(column.features, (20,), generator=generator) for column in spec.dataset.embedded]
    )
    x = torch.randn(20, *spec.dataset.shape, generator=generator, dtype=torch.float64)
    numbers = torch.ones(x.shape[1], dtype=torch.bool)
    for column, own in zip(spec.dataset.embedded, codes, strict=True):
        x[:, column.begin : column.end] = nn.functional.one_hot(own, column.features)
        numbers[column.begin : column.end] = False

    tables = [nn.Embedding(column.features, 2, dtype=torch.float64) for column in spec.dataset.embedded]
    width = int(numbers.sum()) + 4
    sizes = [width, 3] if model["kind"] == "linear" else [width, 6, 3]
    dense = [nn.Linear(*pair, dtype=torch.float64) for pair in pairwise(sizes)]
    first, last = spec.dataset.embedded
    assert (first.begin, last.end) == (0, x.shape[1] - 1)
    vectors = [table(own) for table, own in zip(tables, codes, strict=True)]
    expected = torch.cat([vectors[0], x[:, first.end : last.begin], vectors[1], x[:, last.end :]], 1)
    for i, layer in enumerate(dense):
        expected = layer(torch.tanh(expected) if i else expected)

    steps = spec.effective_model.steps(spec.dataset.shape, 3)
    modules = [table.weight for table in tables]
    modules += [tensor for layer in dense for tensor in (layer.weight, layer.bias)]
    names = spec.effective_model.parameters(spec.dataset.shape, 3)
    tensors = {name: tensor.detach().clone().requires_grad_() for name, tensor in zip(names, modules, strict=True)}
    result = forward([(step.name, step.layer) for step in steps], x, LayerState(tensors, Draws(), training=True))
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    g = torch.randn(result.shape, generator=generator, dtype=torch.float64)
    torch.autograd.backward([result, expected], [g, g])
    for tensor, parameter in zip(tensors.values(), modules, strict=True):
        torch.testing.assert_close(tensor.grad, parameter.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("missing", [True, False])
def test_category_that_no_training_row_has_is_the_vector_zero(missing: bool) -> None:
    column = Column(name="c", type="category", levels=LEVELS, missing=True)
    train = np.array([0, 0, 0, 1, 1, 1] + [MISSING] * missing, np.int32)
    rows = np.array([0, 3, UNSEEN, MISSING], np.int32)

    def features(part: Category, train: Any) -> list[list[int]]:
        x = part.transform(column, part.fit(column, train), rows)
        return [np.flatnonzero(row).tolist() for row in x]

    plain, grouped = Category(encode="embedding"), Category(encode="embedding", min_rows=2)
    assert features(plain, train) == [[0], [], [], [4] * missing]
    assert features(grouped, train) == [[0], [], [], [5] * missing]
    assert features(grouped, np.append(train, [2])) == [[0], [4], [4], [5] * missing]


def test_default_width_is_half_the_categories_and_at_most_fifty() -> None:
    def width(levels: int, *, missing: bool = False, **fields: Any) -> int | None:
        column = Column(name="c", type="category", levels=tuple(map(str, range(levels))), missing=missing)
        return Category(encode="embedding", **fields).vector_width(column)

    assert [width(1), width(4), width(4, missing=True), width(4, min_rows=2), width(99)] == [1, 2, 3, 3, 50]
    assert (width(101), width(4, width=4)) == (50, 4)
    assert Category().vector_width(Column(name="c", type="category")) is None


@pytest.mark.parametrize(
    ("category", "changes", "place", "message"),
    [
        ({**EMBEDDING, "width": 4}, {}, "dataset.columns.category.width", "'island' has 3 categories"),
        (EMBEDDING, {"dataset": {"normalize": {"mean": 0.0, "std": 2.0}}}, "dataset.normalize", "leave normalize out"),
        (EMBEDDING, {"model": {"kind": "knn"}, "optimizer": None}, "dataset.columns", "'knn' is not trained"),
        (
            EMBEDDING,
            {"model": {"kind": "sequential", "layers": [{"kind": "embedding", "vocabulary": 9, "width": 2}]}},
            "model.layers.0",
            "embedded columns come before it",
        ),
        (
            EMBEDDING,
            {
                "model": {
                    "kind": "sequential",
                    "layers": [{"kind": "dense", "width": 2}, {"kind": "conv2d", "channels": 1}],
                }
            },
            "model.layers.1",
            "rows of shape 2 arrive",
        ),
        (
            EMBEDDING,
            {"regularizers": [{"kind": "input_gradient", "strength": 0.1}]},
            "regularizers.0",
            "come before it",
        ),
    ],
)
def test_embedding_that_does_not_fit_is_refused(
    category: dict[str, Any], changes: dict[str, Any], place: str, message: str
) -> None:
    objections = [
        (".".join(map(str, steps)), one.message) for steps, one in spec_with(category, **changes).objections()
    ]
    assert any(steps == place and message in text for steps, text in objections), objections


def test_width_without_embedding_is_refused() -> None:
    with pytest.raises(ValueError, match="leave it out"):
        Category(width=3)
