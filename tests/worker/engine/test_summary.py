"""Parameters as they are told of at the end."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.conftest import spec
from worker.engine.stack import Member, Stack
from worker.engine.summary import BINS, parameters_of


def stack() -> Stack:
    return Stack([Member("a", spec(seed=0)), Member("b", spec(seed=1))], torch.device("cpu"))


def test_every_parameter_is_told_of_as_numpy_sees_it() -> None:
    trained = stack()
    trained.parameters["layers.0.weight"][1, :4] = 0
    for told in parameters_of(trained, 1):
        values = trained.parameters[told["name"]][1].double().numpy()
        assert told["shape"] == list(values.shape)
        assert told["norm"] == pytest.approx(np.linalg.norm(values.ravel()))
        assert told["zeros"] == np.mean(values == 0)
        histogram = told["histogram"]
        counts, _ = np.histogram(values, BINS, (histogram["low"], histogram["high"]))
        assert histogram["counts"] == counts.tolist()
        assert sum(histogram["counts"]) == values.size
    assert parameters_of(trained, 1)[0]["zeros"] == 4 / 16


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_counted_and_can_be_written_as_json(value: float) -> None:
    trained = stack()
    trained.parameters["layers.0.bias"][0, 3] = value
    told = {one["name"]: one for one in parameters_of(trained, 0)}
    assert (told["layers.0.bias"]["nonfinite"], told["layers.0.bias"]["histogram"]) == (1, None)
    assert told["layers.0.weight"]["nonfinite"] == 0
    json.dumps(list(told.values()), allow_nan=False)


def test_a_parameter_of_zeros_has_a_histogram_too() -> None:
    trained = stack()
    trained.parameters["layers.1.bias"].zero_()
    (told,) = (one for one in parameters_of(trained, 0) if one["name"] == "layers.1.bias")
    assert (told["zeros"], told["norm"], sum(told["histogram"]["counts"])) == (1.0, 0.0, 10)
