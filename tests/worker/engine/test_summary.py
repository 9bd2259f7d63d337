"""Summaries of final parameters."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.conftest import spec
from worker.engine.stack import Member, Stack
from worker.engine.summary import parameters_of
from worker.spec.parameter_summary import BINS


def stack() -> Stack:
    return Stack([Member("a", spec(seed=0)), Member("b", spec(seed=1))], torch.device("cpu"))


def test_summary_of_every_parameter_matches_numpy() -> None:
    trained = stack()
    trained.parameters["layers.0.weight"][1, :4] = 0
    for summary in parameters_of(trained, 1):
        values = trained.parameters[summary["name"]][1].double().numpy()
        assert summary["shape"] == list(values.shape)
        assert summary["norm"] == pytest.approx(np.linalg.norm(values.ravel()))
        assert summary["zeros"] == np.mean(values == 0)
        histogram = summary["histogram"]
        counts, _ = np.histogram(values, BINS, (histogram["low"], histogram["high"]))
        assert histogram["counts"] == counts.tolist()
        assert sum(histogram["counts"]) == values.size
    assert parameters_of(trained, 1)[0]["zeros"] == 4 / 16


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nonfinite_values_are_counted_and_serializable(value: float) -> None:
    trained = stack()
    trained.parameters["layers.0.bias"][0, 3] = value
    summary = {one["name"]: one for one in parameters_of(trained, 0)}
    assert (summary["layers.0.bias"]["nonfinite"], summary["layers.0.bias"]["histogram"]) == (1, None)
    assert summary["layers.0.weight"]["nonfinite"] == 0
    json.dumps(list(summary.values()), allow_nan=False)


def test_parameter_of_zeros_has_a_histogram() -> None:
    trained = stack()
    trained.parameters["layers.1.bias"].zero_()
    (summary,) = (one for one in parameters_of(trained, 0) if one["name"] == "layers.1.bias")
    assert (summary["zeros"], summary["norm"], sum(summary["histogram"]["counts"])) == (1.0, 0.0, 10)
