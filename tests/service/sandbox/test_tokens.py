"""Rows of tokens are checked before a model predicts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from service.sandbox.predicting.loaded_models import Loaded, OrderRefused, predictions
from worker.spec.run import RunSpec

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FIELDS = {
    "dataset": {"kind": "modular_arithmetic"},
    "model": {"kind": "sequential", "layers": [{"kind": "embedding", "vocabulary": 99, "width": 2}]},
    "optimizer": {"kind": "sgd", "lr": 0.1},
}


@pytest.mark.parametrize("token", [99, -1, 0.5, 1e30])
def test_number_that_is_not_a_token_is_refused_with_its_place(token: float) -> None:
    loaded = Loaded(RunSpec.of(FIELDS), cast("InferenceSession", None), 0, None, 1.0)
    rows = np.array([[0, 97, 1, 98], [0, 97, token, 98]], np.float32)
    with pytest.raises(OrderRefused, match="whole numbers from 0 to 98, and row 1 has") as refusal:
        predictions(loaded, rows)
    assert (refusal.value.reason, refusal.value.errors[0].place) == ("bad_rows", "/1/2")
