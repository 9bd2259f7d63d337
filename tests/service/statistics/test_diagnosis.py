"""Verdicts on synthetic curves that fit, underfit, overfit or diverge, and on curves of trained models."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.statistics.diagnosis import Curves, Diagnosis, diagnose

GUESSING = math.log(10)
SCIENCE = Path(__file__).parents[3] / "docs" / "science"
"""Curves of the models trained for the documentation."""


def table(name: str) -> list[dict[str, str]]:
    with (SCIENCE / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def series(rows: list[dict[str, str]], name: str) -> Any:
    return np.array([float(row[name]) for row in rows])


def verdict(train: Any, held_out: Any, noise: float = 0.0, seed: int = 0, **more: Any) -> Diagnosis:
    rng = np.random.default_rng(seed)
    losses = [np.asarray(one, float) + rng.normal(0, noise, len(one)) for one in (train, held_out)]
    reference = more.pop("reference", None)
    return diagnose(Curves(losses[0], losses[1], GUESSING, **more), reference)


def falling(epochs: int, to: float, rate: float) -> Any:
    return to + (2.3 - to) * np.exp(-rate * np.arange(1, epochs + 1))


@pytest.mark.parametrize("seed", range(10))
def test_rising_validation_loss_overfits_from_where_it_exceeds_the_noise(seed: int) -> None:
    epochs = np.arange(1, 61)
    held_out = falling(60, 0.32, 0.3) + 0.004 * np.maximum(0, epochs - 25)
    diagnosis = verdict(falling(60, 0.05, 0.2), held_out, noise=0.01, seed=seed)
    assert diagnosis.verdict == "overfits"
    assert diagnosis.best_epoch is not None
    assert 15 <= diagnosis.best_epoch <= 32
    assert diagnosis.onset_epoch is not None
    assert diagnosis.best_epoch < diagnosis.onset_epoch <= 50
    assert diagnosis.regret == pytest.approx(0.14, abs=0.04)
    assert diagnosis.gap_at_best is not None
    assert diagnosis.gap_at_best > 0.1


@pytest.mark.parametrize("seed", range(10))
def test_settled_losses_fit(seed: int) -> None:
    assert verdict(falling(60, 0.25, 0.3), falling(60, 0.30, 0.3), noise=0.005, seed=seed).verdict == "fits"


@pytest.mark.parametrize("seed", range(10))
def test_falling_losses_underfit(seed: int) -> None:
    assert verdict(falling(20, 0.2, 0.05), falling(20, 0.25, 0.05), noise=0.01, seed=seed).verdict == "underfits"


def test_high_plateau_is_undecided_unless_a_reference_is_lower() -> None:
    train, held_out = falling(40, 1.6, 0.5), falling(40, 1.65, 0.5)
    diagnosis = verdict(train, held_out)
    assert diagnosis.verdict == "undecided"
    assert "reference" in diagnosis.reason
    lower = Curves(falling(40, 0.4, 0.5), falling(40, 0.5, 0.5), GUESSING)
    assert verdict(train, held_out, reference=lower).verdict == "underfits"
    worse_on_one = Curves(falling(40, 0.4, 0.5), falling(40, 1.9, 0.5), GUESSING)
    assert verdict(train, held_out, reference=worse_on_one).verdict == "undecided"


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [8, 12, 20, 30, 60, 120])
def test_noise_alone_is_seldom_diagnosed_as_overfitting(epochs: int) -> None:
    """Flat noisy curves seldom end at their best epoch; at most one in twenty counts as overfitting."""
    flat = np.full(epochs, 0.2), np.full(epochs, 0.4)
    verdicts = [verdict(*flat, noise=0.03, seed=seed).verdict for seed in range(1000)]
    assert verdicts.count("overfits") <= 0.05 * 1000


@pytest.mark.parametrize("epochs", [30, 120])
def test_heavy_tailed_noise_is_seldom_diagnosed_as_overfitting(epochs: int) -> None:
    rng = np.random.default_rng(0)
    tails = [0.4 + 0.03 * rng.standard_t(3, epochs) for _ in range(1000)]
    assert [verdict(np.full(epochs, 0.2), one).verdict for one in tails].count("overfits") <= 1000 / 10


@pytest.mark.parametrize("epochs", [12, 20, 30, 60])
def test_steep_first_epochs_do_not_count_as_noise(epochs: int) -> None:
    """The loss rises by a third after its lowest point, and fell by five times as much before it."""
    e = np.arange(epochs)
    fall = 2 * np.exp(-20 * e / epochs)
    assert verdict(fall, fall + 0.35 + 0.12 * e / epochs, noise=0.003).verdict == "overfits"


def test_rise_within_two_percent_fits() -> None:
    held_out = np.concatenate([falling(30, 0.4, 0.5), 0.4 + np.linspace(0, 0.007, 30)])
    assert verdict(falling(60, 0.2, 0.5), held_out).verdict == "fits"


@pytest.mark.parametrize(
    ("train", "more"),
    [
        ([0.5, math.nan, 0.4, 0.3, 0.2], {}),
        ([0.5, 0.4], {"nonfinite": True}),
        ([2.3, 1e31, 1e31, 1e31, 1e31, 1e31], {}),
        ([2.3, 4.0, 6.0, 8.0, 9.0, 9.5], {}),
    ],
)
def test_losses_far_above_guessing_have_diverged(train: list[float], more: dict[str, Any]) -> None:
    assert verdict(train, train, **more).verdict == "diverged"


def test_too_few_epochs_are_undecided() -> None:
    assert verdict([2.0, 1.0, 0.5, 0.4], [2.0, 1.0, 0.6, 0.9]).verdict == "undecided"
    assert verdict([], []).verdict == "undecided"


def test_overfit_classifier_overfits() -> None:
    """The preset overfit_classifier: 60 epochs of MLP 784-1024-512-10 on FashionMNIST."""
    rows = table("overfit.csv")
    diagnosis = diagnose(Curves(series(rows, "train.loss_eval"), series(rows, "test.loss"), GUESSING))
    assert diagnosis.verdict == "overfits"
    assert diagnosis.best_epoch is not None
    assert 25 <= diagnosis.best_epoch <= 40
    assert diagnosis.onset_epoch is not None
    assert diagnosis.onset_epoch > diagnosis.best_epoch


@pytest.mark.parametrize("arm", ["plain", "l2 + augmentation", "dropout + augmentation", "l2 + dropout"])
def test_plain_and_combined_regularizers_do_not_overfit_and_most_underfit(arm: str) -> None:
    """The presets plain_classifier and combinations: 30 epochs of MLP 784-128-128-10, six seeds."""
    rows = [row for row in table("combinations.csv") if row["arm"] == arm]
    verdicts = []
    for seed in sorted({row["seed"] for row in rows}):
        own = [row for row in rows if row["seed"] == seed]
        curves = Curves(series(own, "train.loss_eval"), series(own, "val.loss"), GUESSING)
        verdicts.append(diagnose(curves).verdict)
    assert set(verdicts) <= {"underfits", "fits"}
    assert verdicts.count("underfits") >= 4


def test_verdicts_swap_if_later_epochs_are_simpler_models() -> None:
    k = np.arange(1, 51)
    train, turned = 1.0 + 0.01 * k, 0.6 + 1 / k + 0.02 * k
    diagnosis = verdict(train, turned, simpler=True)
    assert (diagnosis.verdict, diagnosis.best_epoch, diagnosis.onset_epoch) == ("underfits", 7, 12)
    assert verdict(train, 0.3 + 2 * np.exp(-k / 40), simpler=True).verdict == "overfits"
    assert verdict(0.8 + 0 * k, 0.9 + np.exp(-k), simpler=True).verdict == "fits"
    assert verdict(1.9 + 0 * k, 2.0 + np.exp(-k), simpler=True).verdict == "undecided"


def correlated(rng: Any, epochs: int, correlation: float) -> Any:
    """Return noise that is AR(1) with unit variance."""
    noise = rng.normal(size=epochs)
    for i in range(1, epochs):
        noise[i] = correlation * noise[i - 1] + noise[i] * math.sqrt(1 - correlation**2)
    return noise


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("epochs", [8, 12, 20, 30, 60, 120])
def test_autocorrelated_noise_is_seldom_diagnosed_as_overfitting(epochs: int, correlation: float) -> None:
    """At most one in ten, plus the error of the simulation; version 3 said it of up to two in three."""
    rng = np.random.default_rng(0)
    curves = [0.4 + 0.03 * correlated(rng, epochs, correlation) for _ in range(1000)]
    count = [verdict(np.full(epochs, 0.2), one).verdict for one in curves].count("overfits")
    assert count <= 1000 * 0.1 + 2 * math.sqrt(1000 * 0.1 * 0.9)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "at_least"), [(0.02, 0.95), (0.03, 0.85)])
def test_rise_by_a_third_is_diagnosed_in_spite_of_noise(noise: float, at_least: float) -> None:
    epochs = np.arange(60)
    held_out = 0.4 * (1 + 0.33 * np.maximum(0, epochs - 20) / 40) + 1.9 * np.exp(-12 * epochs / 60)
    verdicts = [verdict(np.full(60, 0.2), held_out, noise=noise, seed=seed).verdict for seed in range(200)]
    assert verdicts.count("overfits") >= at_least * 200


@pytest.mark.parametrize("epochs", [8, 12, 20, 30, 60])
def test_spike_in_the_last_epoch_does_not_overfit(epochs: int) -> None:
    verdicts = []
    for seed in range(50):
        held_out = 0.4 + 0.005 * np.random.default_rng(seed).normal(size=epochs)
        held_out[-1] += 0.4
        verdicts.append(verdict(np.full(epochs, 0.2), held_out).verdict)
    assert verdicts.count("overfits") <= 2


def test_slow_rise_after_a_ragged_fall_overfits() -> None:
    """From 0.35 to 0.45 at perfect training accuracy, after first epochs that jump by more than the rise."""
    epochs = np.arange(40)
    rng = np.random.default_rng(3)
    jumps = np.where(epochs < 10, rng.normal(0, 0.4, 40), rng.normal(0, 0.005, 40))
    held_out = 0.35 + 0.1 * np.maximum(0, epochs - 12) / 27 + 2 * np.exp(-epochs / 3) + np.abs(jumps)
    assert verdict(falling(40, 0.001, 0.3), held_out, perfect=True).verdict == "overfits"


@pytest.mark.parametrize(("to", "perfect"), [(0.02, False), (0.3, True)])
def test_run_with_nothing_left_to_learn_does_not_underfit(to: float, perfect: bool) -> None:
    train, held_out = falling(20, to, 0.12), falling(20, 0.5, 0.12)
    train = train - train[-1] + to
    assert verdict(train, held_out, perfect=perfect).verdict == "fits"
    lower = Curves(train / 2, held_out / 2, GUESSING)
    assert verdict(train, held_out, perfect=perfect, reference=lower).verdict == "fits"
    assert verdict(train + 0.4, held_out).verdict == "underfits"


def test_validation_loss_at_guessing_never_fits() -> None:
    low, level = falling(40, 0.005, 0.3), np.full(40, GUESSING)
    assert verdict(low, level, noise=0.001).verdict == "memorizes"
    assert verdict(low, level * np.linspace(1, 3, 40)).verdict == "memorizes"
    assert verdict(level, level, noise=0.001).verdict == "worse_than_guessing"
    assert verdict(level, level * np.linspace(1.02, 1.4, 40)).verdict == "worse_than_guessing"
    rare = Curves(np.full(40, 0.32), np.full(40, 0.325), 0.325, uniform=GUESSING)  # the majority is 9 in 10
    assert diagnose(rare).verdict == "worse_than_guessing"
    assert diagnose(Curves(rare.train + 0.5, rare.held_out + 0.5, 0.325, uniform=GUESSING)).verdict != "diverged"


def test_neighbors_are_counted_in_k() -> None:
    k = np.arange(1, 51)
    assert "around k = 7 " in verdict(1.0 + 0.01 * k, 0.6 + 1 / k + 0.02 * k, simpler=True).reason
    assert "3 values of k" in verdict([0.1] * 3, [0.2] * 3, simpler=True).reason
