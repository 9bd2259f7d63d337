"""Modular arithmetic: every equation holds and is there once; embeddings take its tokens and refuse other rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.laws.strategies import parsed
from worker.engine.outcomes import explained
from worker.spec.datasets.modular_arithmetic import ModularArithmetic
from worker.spec.families.layer import LayerState
from worker.spec.layers.embedding import EmbeddingLayer, UnknownTokens

HOLDS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda a, b, c: a + b - c,
    "subtract": lambda a, b, c: a - b - c,
    "multiply": lambda a, b, c: a * b - c,
    "divide": lambda a, b, c: a - b * c,
}


@pytest.mark.parametrize("operation", HOLDS)
def test_every_equation_holds_and_occurs_once(operation: Any) -> None:
    data = ModularArithmetic(modulus=11, operation=operation)
    arrays = data.load(Path("/"))
    assert (len(arrays.train_x), len(arrays.test_x)) == data.rows
    x, y = np.concatenate([arrays.train_x, arrays.test_x]), np.concatenate([arrays.train_y, arrays.test_y])
    a, symbol, b, equals = x.astype(int).T
    assert set(symbol) == {11}
    assert set(equals) == {12}
    assert not (HOLDS[operation](a, b, y) % 11).any()
    assert len({*zip(a, b, strict=True)}) == len(x) == 11 * (10 if operation == "divide" else 11)


def test_half_of_the_training_part_validates_unless_set() -> None:
    assert ModularArithmetic().validation_size == 8469 // 2
    assert ModularArithmetic(train_size=8000).validation_size == 469
    assert ModularArithmetic(validation_size=7).validation_size == 7
    assert ModularArithmetic(modulus=7) == ModularArithmetic.model_validate(ModularArithmetic(modulus=7).model_dump())


EMBEDDING = {"kind": "embedding", "vocabulary": 99, "width": 4}
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"dataset": {"kind": "mnist1d"}}, "model.layers.0", "are no tokens"),
    ({"layers": [{**EMBEDDING, "vocabulary": 98}]}, "model.layers.0.vocabulary", "99 different tokens"),
    ({"layers": [{"kind": "relu"}, EMBEDDING]}, "model.layers.1", "make it the first layer"),
    ({"regularizers": [{"kind": "noise", "std": 0.1}]}, "model.layers.0", "'noise' changes the inputs"),
    ({"regularizers": [{"kind": "mixup", "alpha": 0.2}]}, "model.layers.0", "'mixup' changes the inputs"),
    ({"dataset": {"kind": "modular_arithmetic", "normalize": {"mean": 0, "std": 2}}}, "dataset.normalize", "no scale"),
    ({"dataset": {"kind": "modular_arithmetic", "modulus": 12, "operation": "divide"}}, "dataset.modulus", "a prime"),
]


@pytest.mark.parametrize(("changes", "place", "message"), REFUSED)
def test_unfit_tokens_are_refused_in_words(changes: dict[str, Any], place: str, message: str) -> None:
    layers = changes.pop("layers", [EMBEDDING])
    body = {"dataset": {"kind": "modular_arithmetic"}, "optimizer": {"kind": "adam", "lr": 0.01}, **changes}
    refusals = list(parsed({**body, "model": {"kind": "sequential", "layers": layers}}).objections())
    assert ".".join(map(str, refusals[0][0])) == place
    assert message in refusals[0][1].message


def test_rows_of_an_upload_may_be_tokens_if_they_keep_their_scale() -> None:
    facts = {"task": "classification", "shape": [4], "classes": ["a", "b"], "rows_train": 9, "rows_test": 5}
    plain = {"kind": "uploaded", "id": f"dataset_{'0' * 64}", "content": facts}
    unscaled = {"standardize": False}
    typed = {"content": {**facts, "layout": 2}, "columns": {"number": {"kind": "number", "scale": "none"}}}
    expected: list[tuple[dict[str, Any], int | None]] = [({}, 0), (unscaled, None), (typed, None)]
    for changes, tokens in expected:
        body = {"dataset": {**plain, **changes}, "model": {"kind": "sequential", "layers": [EMBEDDING]}}
        spec = parsed({**body, "optimizer": {"kind": "adam", "lr": 0.01}})
        assert spec.dataset.tokens == tokens
        assert bool(list(spec.objections())) == (tokens == 0)


def test_token_outside_the_vocabulary_is_an_error_in_words() -> None:
    layer = EmbeddingLayer(vocabulary=3, width=2)
    state = LayerState({"weight": torch.zeros(3, 2)}, lambda _: None, training=False)  # type: ignore[arg-type, return-value]
    with pytest.raises(
        UnknownTokens, match=r"tokens from 1 to 5, and the vocabulary of 'embedding' ends at 2"
    ) as error:
        layer.forward(torch.tensor([[1.0, 5.0]]), state)
    code, message = explained(error.value)
    assert (code, message) == ("unknown_tokens", f"{error.value}")
    assert message.endswith("Use a vocabulary of 6.")


def test_fraction_among_tokens_is_an_error_in_words() -> None:
    layer = EmbeddingLayer(vocabulary=3, width=2)
    state = LayerState({"weight": torch.zeros(3, 2)}, lambda _: None, training=False)  # type: ignore[arg-type, return-value]
    with pytest.raises(UnknownTokens, match="needs whole numbers"):
        layer.forward(torch.tensor([[1.0, 0.5]]), state)
