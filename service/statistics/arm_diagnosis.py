"""Diagnosis of an arm from the loss curves of all its seeds.

One run cannot tell a rise of the loss from noise that wanders. Several seeds can: their noise is independent, whatever
it is from epoch to epoch. The *regret* of a seed is its mean loss over the last window minus its mean over the window
that is lowest in the mean of the *other* seeds. Because a seed does not choose the window that it is measured on, its
regret has mean zero or less if the loss does not rise, and the sign-flip test over the seeds applies. The *fall* is the
mean of the window before the last minus the mean of the last.

Curves are cut to the epochs that every seed has. Windows have ``WINDOW_SHARE`` of them, at least ``MIN_WINDOW``.

- *overfits*: the regret is positive with p at most ``ALPHA``, and more than ``share`` of the lowest mean.
- *underfits*: training and validation loss both fall with p at most ``ALPHA``, by more than ``fall_share``, and
  something is left to learn.
- *memorizes*, *worse_than_guessing*, *fits* and *undecided* follow the rules of ``diagnosis``, for means over seeds.
- *diverged*: at least half of the seeds diverged.

With nearest neighbors, later epochs are simpler models, and *overfits* and *underfits* swap.

Reference: Stone, 1974, "Cross-validatory choice and assessment of statistical predictions" (choosing and measuring on
different data); Fisher, 1935, "The design of experiments" (the sign-flip test).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.statistics.diagnosis import Verdict
from service.statistics.sign_flip import Floats, interval, two_sided_p
from service.statistics.thresholds import THRESHOLDS, Thresholds

ALPHA = 0.05
MIN_SEEDS = 6
"""Of fewer seeds, the sign-flip test never rejects at 0.05."""
WINDOW_SHARE, MIN_WINDOW = 0.1, 3


@dataclass(frozen=True)
class ArmCurves:
    """The finite loss curves of an arm's seeds in evaluation mode, from epoch 1 on."""

    train: Sequence[Floats]
    held_out: Sequence[Floats]
    guessing: float
    """The mean loss of predictions that ignore the inputs, on the held-out rows."""
    train_guessing: float
    diverged: int = 0
    """Seeds that diverged; they have no curves."""
    simpler: bool = False
    """Whether epoch k is a model of k neighbors."""
    every: int = 1
    """Epochs from one value to the next; the first value is of epoch ``every``."""


@dataclass(frozen=True)
class ArmDiagnosis:
    """A verdict on an arm and the numbers behind it."""

    verdict: Verdict
    reason: str
    n: int
    epochs: int = 0
    """Epochs that every seed has."""
    best_epoch: int | None = None
    """The middle of the window in which the mean over seeds is lowest."""
    lowest: float | None = None
    end: float | None = None
    """Mean loss over the last window."""
    regret: float | None = None
    ci: tuple[float, float] | None = None
    """Interval of the regret; None below six seeds."""
    p: float | None = None
    p_fall: float | None = None
    regrets: Sequence[float] = ()
    """One for each seed."""


def cross_fitted_regrets(curves: Floats, window: int) -> Floats:
    """Return each seed's regret (n,) from the curves (n, epochs) of at least two seeds."""
    means = window_means(curves, window)
    others = means.sum(0) - means
    chosen = others.argmin(1)
    regrets: Floats = means[:, -1] - means[np.arange(len(means)), chosen]
    return regrets


def window_means(curves: Floats, window: int) -> Floats:
    """Return the means over each window of the curves (n, epochs): (n, epochs − window + 1)."""
    means: Floats = np.lib.stride_tricks.sliding_window_view(curves, window, axis=1).mean(2)
    return means


def diagnose_arm(arm: ArmCurves, limits: Thresholds = THRESHOLDS) -> ArmDiagnosis:
    """Diagnose an arm."""
    n = len(arm.held_out)
    if arm.diverged and 2 * arm.diverged >= n + arm.diverged:
        return ArmDiagnosis("diverged", f"{arm.diverged} of {n + arm.diverged} seeds diverged.", n)
    if n < MIN_SEEDS:
        reason = f"A test over {n} seeds decides nothing; at least {MIN_SEEDS} finished seeds are needed."
        return ArmDiagnosis("undecided", reason, n)
    epochs = min(map(len, arm.held_out))
    if epochs < limits.least_epochs:
        units = "values of k" if arm.simpler else "epochs" if arm.every == 1 else "evaluated epochs"
        reason = f"Every seed has {epochs} {units}; at least {limits.least_epochs} are needed."
        return ArmDiagnosis("undecided", reason, n, epochs * arm.every)
    return _diagnosed(arm, epochs, limits)


def _diagnosed(arm: ArmCurves, epochs: int, limits: Thresholds) -> ArmDiagnosis:
    """Diagnose curves of enough seeds and epochs."""
    train, held_out = (np.array([one[:epochs] for one in curves]) for curves in (arm.train, arm.held_out))
    window = max(MIN_WINDOW, round(WINDOW_SHARE * epochs))
    mean = window_means(held_out, window).mean(0)
    regrets = cross_fitted_regrets(held_out, window)
    p_train, p_fall = (_p_of_fall(curves, window, limits) for curves in (train, held_out))
    numbers: dict[str, Any] = {
        "n": len(held_out),
        "epochs": epochs * arm.every,
        "best_epoch": (int(mean.argmin()) + 1 + window // 2) * arm.every,
        "lowest": float(mean.min()),
        "end": float(mean[-1]),
        "regret": float(regrets.mean()),
        "ci": interval(regrets, ALPHA),
        "p": two_sided_p(regrets),
        "p_fall": p_fall,
        "regrets": regrets.tolist(),
    }
    verdict, reason = _verdict(arm, numbers, float(train[:, -1].mean()), max(p_train, p_fall), limits)
    skipped = f" {arm.diverged} more diverged." if arm.diverged else ""
    return ArmDiagnosis(verdict, reason + skipped, **numbers)


def _verdict(
    arm: ArmCurves, numbers: dict[str, Any], train: float, p_falls: float, limits: Thresholds
) -> tuple[Verdict, str]:
    """Return the verdict and its reason; ``train`` is the mean training loss at the end."""
    lowest, end, regret, p, n = (numbers[name] for name in ("lowest", "end", "regret", "p", "n"))
    low = train < limits.fits_below_guessing * arm.train_guessing
    if lowest >= limits.generalizes_below_guessing * arm.guessing and low:
        return "memorizes", (
            f"The mean training loss falls to {train:.3g}, but the mean validation loss never gets well below "
            f"guessing ({lowest:.3g}; guessing gives {arm.guessing:.3g})."
        )
    if lowest >= (1 - limits.share) * arm.guessing:
        return "worse_than_guessing", (
            f"The mean validation loss is never below {lowest:.3g}; guessing gives {arm.guessing:.3g}."
        )
    if regret > limits.share * abs(lowest) and p <= ALPHA:
        at = f"k = {numbers['best_epoch']}" if arm.simpler else f"epoch {numbers['best_epoch']}"
        reason = (
            f"The validation loss ends {regret:.2g} above its lowest window, chosen by the other seeds (around {at}): "
            f"p = {p:.2g} over {n} seeds."
        )
        return ("underfits" if arm.simpler else "overfits"), reason
    learned = train < limits.learned_below_guessing * arm.train_guessing
    if p_falls <= ALPHA and not learned:
        reason = f"Both losses still fall over the last epochs: p ≤ {p_falls:.2g} over {n} seeds."
        return ("overfits" if arm.simpler else "underfits"), reason
    if low and end < limits.generalizes_below_guessing * arm.guessing:
        return "fits", f"The validation loss does not rise (p = {p:.2g} over {n} seeds), nor do both losses still fall."
    return "undecided", (
        f"The losses have settled, but they are high (training {train:.3g}, validation {end:.3g}; guessing gives "
        f"{arm.guessing:.3g})."
    )


def _p_of_fall(curves: Floats, window: int, limits: Thresholds) -> float:
    """Return the p of a fall between the last two windows of the curves (n, epochs); 1 if it is too small to count."""
    falls = curves[:, -2 * window : -window].mean(1) - curves[:, -window:].mean(1)
    counts = falls.mean() > limits.fall_share * abs(float(curves[:, -window:].mean()))
    return two_sided_p(falls) if counts else 1.0
