"""Parts of losses against definitions written row by row, against simulations, and against their jackknife."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import rel_entr, softmax
from scipy.stats import gmean

from service.statistics import bias_variance
from service.statistics.bias_variance import CORRECTED, decompose

RUNS, ROWS, CLASSES = 5, 40, 4
Floats = NDArray[np.float64]


def logits(seed: int = 0) -> Floats:
    """Return logits (R, N, C) that differ between rows more than between runs."""
    random = np.random.default_rng(seed)
    return 2 * random.normal(size=(ROWS, CLASSES)) + random.normal(size=(RUNS, ROWS, CLASSES))


def labels() -> Floats:
    return np.random.default_rng(9).integers(0, CLASSES, ROWS).astype(float)


ONES = np.ones(ROWS)


def test_cross_entropy_is_that_of_the_geometric_mean_and_the_mean_divergence_from_it() -> None:
    p, y = softmax(logits(), 2), labels().astype(int)
    bias, variance, loss = [], [], []
    for i in range(ROWS):
        main = gmean(p[:, i])
        main /= main.sum()
        bias.append(-np.log(main[y[i]]))
        variance.append(np.mean([rel_entr(main, p[r, i]).sum() for r in range(RUNS)]))
        loss.append(np.mean([-np.log(p[r, i, y[i]]) for r in range(RUNS)]))
    parts = decompose(logits(), labels(), ONES, classes=CLASSES)["cross_entropy"]
    expected = (np.mean(loss), np.mean(bias), np.mean(variance), np.mean(variance))
    assert (parts.loss, parts.bias, parts.variance, parts.net_variance) == pytest.approx(expected, rel=1e-12)


def test_brier_score_is_squared_bias_and_variance_by_their_definitions() -> None:
    p, y = softmax(logits(), 2), labels().astype(int)
    loss = np.mean([((p[r, i] - np.eye(CLASSES)[y[i]]) ** 2).sum() for r in range(RUNS) for i in range(ROWS)])
    variance = np.mean([sum(p[:, i, c].var(ddof=1) for c in range(CLASSES)) for i in range(ROWS)])
    # The mean over pairs of different runs: an unbiased estimate, as their predictions are independent.
    pairs = [(r, s) for r in range(RUNS) for s in range(RUNS) if r != s]
    error = p - np.eye(CLASSES)[y]
    bias = np.mean([[error[r, i] @ error[s, i] for r, s in pairs] for i in range(ROWS)])
    parts = decompose(logits(), labels(), ONES, classes=CLASSES)["brier"]
    assert (parts.loss, parts.bias, parts.variance) == pytest.approx((loss, bias, variance), rel=1e-12)


def test_zero_one_loss_follows_domingos() -> None:
    # Main predictions: row 0 right (one run errs), row 1 wrong (one run is right), row 2 a tie, won by class 0.
    predicted = np.array([[0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 1, 0]])
    parts = decompose(np.eye(2)[predicted], np.array([0.0, 0, 1]), np.ones(3), classes=2)["zero_one"]
    assert parts.loss == pytest.approx((1 / 4 + 3 / 4 + 2 / 4) / 3)
    assert parts.bias == pytest.approx((0 + 1 + 1) / 3)
    assert parts.variance == pytest.approx((1 / 4 + 1 / 4 + 2 / 4) / 3)
    assert parts.net_variance == pytest.approx((1 / 4 - 1 / 4 - 2 / 4) / 3)
    assert parts.bias_error is None


@pytest.mark.parametrize("runs", [2, 3, RUNS])
def test_parts_add_up_to_the_mean_loss(runs: int) -> None:
    classes = decompose(logits()[:runs], labels(), ONES, classes=CLASSES)
    numbers = decompose(logits()[:runs, :, :1], labels(), ONES, classes=0)
    for parts in [*classes.values(), *numbers.values()]:
        assert parts.bias + parts.net_variance == pytest.approx(parts.loss, rel=1e-13)
    assert set(classes) == {"cross_entropy", "zero_one", "brier"}
    assert set(numbers) == {"squared_error"}


def test_correction_is_unbiased_where_the_plug_in_is_not() -> None:
    random = np.random.default_rng(3)
    targets, mean, std = random.normal(size=ROWS), random.normal(size=ROWS), random.uniform(0.5, 2, ROWS)
    true_bias, true_variance = np.mean((mean - targets) ** 2), np.mean(std**2)
    for runs in (2, 4):
        biases, variances, plugged_in = [], [], []
        for _ in range(2000):
            numbers = random.normal(mean, std, (runs, ROWS))
            parts = decompose(numbers[..., None], targets, ONES, classes=0)["squared_error"]
            biases.append(parts.bias)
            variances.append(parts.variance)
            plugged_in.append(np.mean((numbers.mean(0) - targets) ** 2))
        error = 4 * np.std(biases) / np.sqrt(len(biases))
        assert abs(np.mean(biases) - true_bias) < error
        assert abs(np.mean(variances) - true_variance) < error
        assert np.mean(plugged_in) - true_bias == pytest.approx(true_variance / runs, abs=error)
        assert np.mean(plugged_in) - true_bias > error, "the correction matters at this number of runs"


def test_standard_error_is_the_spread_over_repetitions() -> None:
    random = np.random.default_rng(4)
    mean = random.normal(size=ROWS)
    width = random.uniform(0.5, 1, ROWS)
    targets = mean - 1.5  # so that the linear part of the bias dominates, which the jackknife estimates
    repeated = []
    for _ in range(600):
        # Rows share a deviation of the run, as a model that was trained on unusual rows errs on many.
        numbers = mean + random.normal(size=(20, 1)) * width + random.normal(size=(20, ROWS))
        repeated.append(decompose(numbers[..., None], targets, ONES, classes=0)["squared_error"])
    for name in ("bias", "variance"):
        spread = np.std([getattr(one, name) for one in repeated])
        errors = [getattr(one, f"{name}_error") for one in repeated]
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.15)


def test_pseudo_values_are_those_of_leaving_each_run_out() -> None:
    whole = decompose(logits(), labels(), ONES, classes=CLASSES)
    for name in ("cross_entropy", "brier"):
        for part in ("bias", "variance"):
            values = getattr(whole[name], f"{part}_values")
            for left_out in range(RUNS):
                others = np.delete(logits(), left_out, axis=0)
                without = getattr(decompose(others, labels(), ONES, classes=CLASSES)[name], part)
                expected = RUNS * getattr(whole[name], part) - (RUNS - 1) * without
                assert values[left_out] == pytest.approx(expected, rel=1e-9)
            assert getattr(whole[name], f"{part}_error") == pytest.approx(np.std(values, ddof=1) / np.sqrt(RUNS))
            if name in CORRECTED:
                assert np.mean(values) == pytest.approx(getattr(whole[name], part), rel=1e-12)


def test_equal_runs_have_no_variance() -> None:
    for parts in decompose([logits()[0]] * 3, labels(), ONES, classes=CLASSES).values():
        assert parts.variance == pytest.approx(0, abs=1e-15)
        assert parts.bias == pytest.approx(parts.loss)


def test_weight_of_a_row_counts_it_as_often() -> None:
    weights = np.random.default_rng(5).integers(1, 4, ROWS)
    repeated = np.repeat(np.arange(ROWS), weights)
    weighted = decompose(logits(), labels(), weights.astype(float), classes=CLASSES)
    counted = decompose(logits()[:, repeated], labels()[repeated], np.ones(len(repeated)), classes=CLASSES)
    for name, parts in weighted.items():
        for figure in ("loss", "bias", "variance", "net_variance"):
            assert getattr(parts, figure) == pytest.approx(getattr(counted[name], figure), rel=1e-12)


def test_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def figures() -> list[Any]:
        every = decompose(logits(), labels(), ONES, classes=CLASSES).values()
        return [value for parts in every for value in (parts.loss, parts.bias, parts.variance, *parts.bias_values)]

    expected = figures()
    monkeypatch.setattr(bias_variance, "BLOCK_NUMBERS", 3 * RUNS * CLASSES)
    assert figures() == pytest.approx(expected, rel=1e-12)


def test_probabilities_near_zero_have_finite_parts() -> None:
    extreme = 1000 * logits()
    for parts in decompose(extreme, labels(), ONES, classes=CLASSES).values():
        assert np.isfinite([parts.loss, parts.bias, parts.variance]).all()
        assert parts.bias + parts.net_variance == pytest.approx(parts.loss, rel=1e-12)
