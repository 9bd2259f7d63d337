"""Points of a search space: different, reproducible, within their bounds, and evenly spread by Sobol's method."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

from service.studies.sampling import DECADES_FROM_ZERO, Sample

RATE = {"distribution": "log_uniform", "low": 1e-3, "high": 1.0}


def points(n: int, space: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return Sample.model_validate({"n": n, "space": space, **fields}).points()


def test_random_points_of_a_seed_never_change() -> None:
    space = {"lr": RATE, "p": {"distribution": "uniform", "low": 0.0, "high": 0.5}}
    assert points(2, space, seed=7) == [{"lr": 0.009365, "p": 0.07542}, {"lr": 0.0897, "p": 0.03622}]


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_points_are_different_and_fewer_if_the_space_has_fewer(method: str) -> None:
    space = {
        "a": {"distribution": "integers", "low": 1, "high": 3},
        "b": {"distribution": "choice", "values": ["x", "y", "x"]},
    }
    every = points(100, space, method=method)
    assert sorted((point["a"], point["b"]) for point in every) == [(a, b) for a in (1, 2, 3) for b in "xy"]
    few = points(4, space, method=method)
    assert len({(point["a"], point["b"]) for point in few}) == 4
    assert len(points(10, {"c": {"distribution": "uniform", "low": 2.0, "high": 2.0}}, method=method)) == 1


def test_narrow_interval_ends_after_its_last_rounded_number() -> None:
    narrow = {"distribution": "uniform", "low": 1.0, "high": 1.0 + 2e-15}
    assert 1 <= len(points(50, {"a": narrow})) < 50


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_logarithmic_space_from_zero_contains_zero_and_three_orders_of_magnitude(method: str) -> None:
    lr = {"distribution": "uniform", "low": 0.0, "high": 1.0}  # a second path, so that zeros are not duplicates
    space = {"strength": {"distribution": "log_uniform", "low": 0, "high": 0.1}, "lr": lr}
    values = np.array([point["strength"] for point in points(1024, space, method=method)])
    zeros = int((values == 0).sum())
    assert abs(zeros - 512) <= (5 * math.sqrt(1024) / 2 if method == "random" else 1)
    logs = np.log10(values[values > 0])
    assert -1 - DECADES_FROM_ZERO <= logs.min() < -0.9 - DECADES_FROM_ZERO
    assert -1.1 < logs.max() <= -1


def test_sobol_points_cover_the_space_more_evenly_than_random_ones() -> None:
    space = {name: {"distribution": "uniform", "low": 0.0, "high": 1.0} for name in "abc"}
    random, sobol = (
        qmc.discrepancy(np.array([[*point.values()] for point in points(30, space, method=method)]))
        for method in ("random", "sobol")
    )
    assert sobol < random / 2


def test_sobol_points_have_a_seed() -> None:
    first, again, other = (points(8, {"lr": RATE}, method="sobol", seed=seed) for seed in (0, 0, 1))
    assert first == again != other
