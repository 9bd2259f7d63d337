"""Orders are the engine's own hash, without torch: the spec determines which rows train."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import CPU, HOME
from worker.engine.data import Data
from worker.engine.rng import words
from worker.spec.datasets.digits import Digits
from worker.spec.folds import Fold
from worker.spec.rng import parted, permutation, stream_key


@given(
    st.integers(0, 2**53 - 1),
    st.sampled_from(["split", "order", "label noise"]),
    st.integers(0, 99),
    st.integers(1, 999),
)
def test_order_matches_the_engines_random_words(seed: int, purpose: str, epoch: int, count: int) -> None:
    drawn = words(torch.tensor([stream_key(seed, purpose, "", epoch)]), 0, count)[0].numpy()
    bits = max(count - 1, 1).bit_length()
    order = permutation(seed, purpose, epoch, count)
    assert sorted(order.tolist()) == list(range(count))
    assert (np.diff(drawn[order] >> bits) >= 0).all()


def test_orders_never_change() -> None:
    order = permutation(0, "split", 0, 60_000)
    assert (
        hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()
        == "ac537eefd9af52d5689bfcf942cc318e3e3a6ef622ec169715443f415146feb5"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train_size": 100},
        {"imbalance": 5.0},
        {"split_seed": 9},
        {"validation_size": 0},
        {"fold": Fold(index=1, of=4)},
    ],
)
def test_training_and_validation_rows_match_the_engine(changes: dict[str, Any]) -> None:
    spec = Digits(**changes)
    arrays = Digits.load(HOME)
    train, held_out = parted(spec, arrays)
    data = Data(spec, HOME, CPU)
    assert np.array_equal(data.raw.numpy(), arrays.train_x[train].reshape(len(train), -1))
    assert np.array_equal(data.validation.y.numpy(), arrays.train_y[held_out])
    assert not set(train.tolist()) & set(held_out.tolist())
    assert (len(train), len(held_out)) == (spec.training_rows, spec.validation_rows)


@pytest.mark.parametrize("changes", [{}, {"fold": Fold(index=1, of=4)}, {"imbalance": 3.0}])
def test_smaller_training_sets_are_part_of_larger_ones_and_leave_the_same_rows_held_out(
    changes: dict[str, Any],
) -> None:
    arrays = Digits.load(HOME)
    (small, held_out), (large, same) = (parted(Digits(train_size=size, **changes), arrays) for size in (50, 400))
    assert np.array_equal(held_out, same)
    assert set(small.tolist()) <= set(large.tolist())


@pytest.mark.slow
def test_orders_are_computed_without_torch() -> None:
    code = (
        "import sys; from worker.spec.rng import parted; from worker.spec.datasets.digits import Digits\n"
        "assert len(parted(Digits(), Digits.load(None))[0]) == 1154\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
