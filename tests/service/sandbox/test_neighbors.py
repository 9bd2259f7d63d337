"""The nearest rows in the predictor process are those of the engine, in ties, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from service.sandbox.predicting import neighbors
from service.sandbox.predicting.neighbors import Neighbors
from worker.spec.nearest import EXACT_WIDTH, Memory


def rows(kind: str, count: int) -> NDArray[Any]:
    """Return rows of which many are equally far from each other."""
    random = np.random.default_rng(count)
    if kind == "bytes":
        return random.integers(0, 3, (count, 9)).astype(np.uint8)
    if kind == "wide bytes":
        return random.integers(0, 2, (count, EXACT_WIDTH + 5)).astype(np.uint8) * np.uint8(255)
    if kind == "ties":
        return random.integers(0, 3, (count, 7)).astype(np.float32) / 3
    return random.normal(size=(count, 13)).astype(np.float32)


@pytest.mark.parametrize("kind", ["bytes", "wide bytes", "ties", "numbers"])
@pytest.mark.parametrize("k", [1, 4, 60])
def test_votes_are_those_of_the_engines_neighbors(kind: str, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "BLOCK", 60 * 11)
    known, queries = rows(kind, 60), rows(kind, 31)
    labels = np.random.default_rng(1).integers(0, 3, 60)
    nearest = Memory(torch.from_numpy(known)).nearest(torch.from_numpy(queries), k).numpy()
    votes = np.stack([np.bincount(labels[places], minlength=3) for places in nearest])
    logits = Neighbors(known, labels, k, 3).logits(queries)
    np.testing.assert_allclose(logits, np.log(votes + 1 / 3), rtol=1e-6)


def test_more_neighbors_than_rows_are_all_rows() -> None:
    known = rows("numbers", 5)
    logits = Neighbors(known, np.array([0, 0, 1, 1, 1]), 8, 2).logits(known[:1])
    np.testing.assert_allclose(logits, np.log([[2.5, 3.5]]), rtol=1e-6)
