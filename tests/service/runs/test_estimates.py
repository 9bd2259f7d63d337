"""Estimates of cost count the evaluations that a spec asks for."""

from __future__ import annotations

import pytest

from service.runs.submission.review import FLOPS_PER_SECOND, estimate
from tests.conftest import spec


def test_estimate_counts_the_rows_of_every_evaluation() -> None:
    plain = spec(epochs=10)
    forward = plain.model.flops(plain.dataset.shape, plain.dataset.outputs) / FLOPS_PER_SECOND
    held_out, test = plain.dataset.validation_rows, plain.dataset.rows[1]
    rows = plain.dataset.training_rows + held_out + test
    seconds = estimate(plain).seconds
    for evaluate, fewer in (
        ({"every": 5}, 8 * rows),
        ({"every": 4}, 7 * rows),
        ({"test": "last_epoch"}, 9 * test),
        ({"train": "never"}, 10 * plain.dataset.training_rows),
        ({"every": 10, "train": "never", "test": "never"}, 10 * rows - held_out),
    ):
        cheaper = estimate(spec(epochs=10, evaluate=evaluate)).seconds
        assert seconds - cheaper == pytest.approx(fewer * forward, rel=1e-9)
