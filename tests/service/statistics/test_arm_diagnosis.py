"""Diagnosis of an arm over its seeds: regrets by definition, error and power by simulation, and all verdicts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from service.statistics.arm_diagnosis import ALPHA, ArmCurves, ArmDiagnosis, cross_fitted_regrets, diagnose_arm

GUESSING = math.log(10)


def falling(epochs: int, to: float, rate: float) -> Any:
    return to + (GUESSING - to) * np.exp(-rate * np.arange(1, epochs + 1))


def seeds(curve: Any, n: int = 8, noise: float = 0.01, correlation: float = 0.0, seed: int = 0) -> Any:
    """Return the curve of each seed, with AR(1) noise: (n, epochs)."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(n, len(curve)))
    for i in range(1, len(curve)):
        e[:, i] = correlation * e[:, i - 1] + e[:, i] * math.sqrt(1 - correlation**2)
    return curve + noise * e


def diagnosed(train: Any, held_out: Any, **more: Any) -> ArmDiagnosis:
    arm = {"guessing": GUESSING, "train_guessing": GUESSING, **more}
    return diagnose_arm(ArmCurves(list(train), list(held_out), **arm))


def test_regret_is_measured_on_the_window_that_the_other_seeds_choose() -> None:
    curves = np.random.default_rng(0).normal(size=(5, 12))
    expected = []
    for i in range(5):
        others = np.delete(curves, i, 0).mean(0)
        windows = [others[k : k + 3].mean() for k in range(10)]
        best = int(np.argmin(windows))
        expected.append(curves[i, -3:].mean() - curves[i, best : best + 3].mean())
    np.testing.assert_allclose(cross_fitted_regrets(curves, 3), expected)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_flat_curves_seldom_overfit_whatever_their_autocorrelation(correlation: float) -> None:
    """The level of the two-sided test, plus twice the error of 300 simulations; a single run reached 0.7."""
    level = np.full(20, 0.4)
    verdicts = [
        diagnosed(seeds(level / 4, seed=s + 5000), seeds(level, noise=0.03, correlation=correlation, seed=s)).verdict
        for s in range(300)
    ]
    assert verdicts.count("overfits") / 300 <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 300)


def test_rise_of_ten_percent_is_found_in_half_of_the_arms() -> None:
    """A rise by 10 % over epochs 20 to 60 under noise of 0.05; one run shows it in one of six."""
    epochs = np.arange(60)
    held_out = 0.4 + 1.9 * np.exp(-0.25 * epochs) + 0.04 * np.maximum(0, epochs - 20) / 40
    train = seeds(falling(60, 0.05, 0.2))
    verdicts = [diagnosed(train, seeds(held_out, noise=0.05, seed=s)).verdict for s in range(100)]
    assert 0.4 <= verdicts.count("overfits") / 100 <= 0.8


@pytest.mark.parametrize(
    ("train", "held_out", "verdict"),
    [
        (falling(40, 0.3, 0.5), falling(40, 0.5, 0.5), "fits"),
        (falling(40, 0.2, 0.04), falling(40, 0.3, 0.04), "underfits"),
        (falling(40, 0.01, 0.3), falling(40, 0.4, 0.5) + np.linspace(0, 0.2, 40), "overfits"),
        (falling(40, 0.01, 0.3), np.full(40, 2.31), "memorizes"),
        (np.full(40, 2.31), np.full(40, 2.31), "worse_than_guessing"),
        (falling(40, 1.6, 0.5), falling(40, 1.7, 0.5), "undecided"),
    ],
)
def test_shape_of_the_mean_curves_decides(train: Any, held_out: Any, verdict: str) -> None:
    assert diagnosed(seeds(train), seeds(held_out, seed=1)).verdict == verdict


def test_numbers_of_an_overfitting_arm_describe_its_rise() -> None:
    held_out = np.concatenate([falling(20, 0.4, 0.5), 0.4 + np.linspace(0, 0.2, 20)])
    result = diagnosed(seeds(falling(40, 0.01, 0.3)), seeds(held_out))
    assert (result.verdict, result.n, result.epochs, len(result.regrets)) == ("overfits", 8, 40, 8)
    assert result.best_epoch is not None
    assert 12 <= result.best_epoch <= 24
    assert result.regret == pytest.approx(0.19, abs=0.02)
    assert result.ci is not None
    assert result.regret is not None
    assert result.ci[0] < result.regret < result.ci[1]
    assert result.p == 2 / 2**8


def test_few_seeds_few_epochs_and_divergence() -> None:
    curve = falling(40, 0.3, 0.5)
    assert "at least 6" in diagnosed(seeds(curve, n=5), seeds(curve, n=5)).reason
    assert "at least 8" in diagnosed(seeds(curve[:7]), seeds(curve[:7])).reason
    assert diagnosed(seeds(curve), seeds(curve), diverged=8).verdict == "diverged"
    assert "2 more diverged" in diagnosed(seeds(curve), seeds(curve), diverged=2).reason
    assert diagnosed([], []).verdict == "undecided"


def test_seeds_that_ended_earlier_shorten_the_others() -> None:
    curve = falling(40, 0.3, 0.5)
    lengths = [30, *[40] * 7]
    train, held_out = ([one[:n] for one, n in zip(seeds(curve, seed=s), lengths, strict=True)] for s in (0, 1))
    assert diagnosed(train, held_out).epochs == 30


def test_verdicts_swap_if_later_epochs_are_simpler_models() -> None:
    k = np.arange(1, 41)
    low = seeds(0.5 + 0.005 * k)
    assert diagnosed(low, seeds(0.6 + 1 / k + 0.02 * k), simpler=True).verdict == "underfits"
    assert diagnosed(low - 0.005 * k, seeds(0.3 + 2 * np.exp(-k / 40)), simpler=True).verdict != "underfits"
