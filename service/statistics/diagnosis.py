"""Diagnosis of a run's loss curves: fits, underfits, overfits, memorizes, worse than guessing, diverged or undecided.

All thresholds are in ``thresholds``; ``VERSION`` is raised whenever a threshold or a rule changes. Curves are smoothed
by the mean over a window of ``window_share`` of the epochs, at least ``least_window`` (at the ends, the first or last
full window). At the end, the smaller of the window's mean and its mean without the highest and the lowest value counts,
so that one spike does not count as a rise.

Noise is estimated from second differences, in which a smooth curve all but vanishes; the largest, a share
``steep_share``, are left out and compensated for as under normal noise if that makes the estimate smaller. Epochs are
not independent: weights wander. The regret is therefore compared with the noise of a mean over correlated values:
differences at lags 1 to 3 give the correlation ρ of neighboring epochs (at most ``correlation_cap``), and the mean over
w epochs has a standard error of σ·√((1 + ρ)/(1 − ρ)/w). The steep first epochs, up to the one that has completed all
but a share ``settled_share`` of the fall, are left out of this estimate, but never more than a third.

*Guessing* is the loss of a model that ignores its inputs, on the same rows: it predicts the class frequencies or the
mean of the training rows (the run's baseline).

- *diverged*: a loss is no longer finite, or the final training loss exceeds ``diverged_over_guessing`` times guessing
  (of equal frequencies).
- *memorizes*: the training loss ends below ``fits_below_guessing`` times guessing, and the smoothed validation loss
  never gets below ``generalizes_below_guessing`` times it.
- *overfits*: the smoothed validation loss ends above its lowest point by more than ``share`` of it and by more than
  ``regret_noises`` standard errors (``regret_noises_per_correlation`` · ρ more, since ρ is itself uncertain). Of flat
  curves, at most one in twenty gets this verdict under normal noise; at most one in ten under heavy-tailed noise
  (Student's t with three degrees of freedom) or autocorrelated noise (ρ up to 0.7).
- *underfits*: training and validation loss both still fall at the end (the last window's mean is below that of the
  window before by more than ``fall_noises`` of its standard errors and by more than ``fall_share`` of it, and the fall
  lasts within the last window), or a reference run ends lower on both. Never if nothing is left to learn: a training
  loss below ``learned_below_guessing`` times guessing, or every training row classified correctly.
- *worse_than_guessing*: the validation loss has settled and ends at guessing or above (by no more than ``share`` below
  it), and was never lower.
- *fits*: the validation loss has stopped falling (or nothing is left to learn) and has not risen; it is below
  ``generalizes_below_guessing``, and the training loss below ``fits_below_guessing``, times guessing.
- *undecided*: all other curves, among them those of fewer than ``least_epochs`` epochs.

If later epochs are simpler models rather than longer training (kNN, where epoch k is k neighbors), two verdicts swap: a
validation loss that ends above its lowest point *underfits*, and one that still falls *overfits*.

Reference: Gasser, Sroka and Jennen-Steinmetz, 1986, "Residual variance and residual pattern in nonlinear regression"
(noise from second differences); Hall and Van Keilegom, 2003, "Using difference-based methods for inference in
nonparametric regression with time series errors" (correlation from differences at several lags); Sen, 1968, "Estimates
of the regression coefficient based on Kendall's tau" (the slope within the last window); Tukey, 1960, "A survey
of sampling from contaminated distributions" (leaving out the largest); Prechelt, 1998, "Early stopping – but when?"
(the regret of the last epoch).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from service.statistics.noise import correlated_noise, error_of_difference
from service.statistics.sign_flip import Floats
from service.statistics.thresholds import THRESHOLDS, Thresholds

VERSION = 5
Verdict = Literal["fits", "underfits", "overfits", "diverged", "undecided", "memorizes", "worse_than_guessing"]


@dataclass(frozen=True)
class Curves:
    """Losses in evaluation mode, of every epoch or of ``epochs``; NaN for values that were not finite."""

    train: Floats
    held_out: Floats
    guessing: float
    """The held-out loss of a model that ignores its inputs."""
    nonfinite: bool = False
    """Whether the run ended because a loss was not finite."""
    simpler: bool = False
    """Whether epoch k is a model of k neighbors, simpler the later, rather than the same model trained longer."""
    uniform: float = 0.0
    """The loss of equal probabilities for all classes, where ``guessing`` is lower; runs that exceed it diverge."""
    perfect: bool = False
    """Whether the last epoch's model classifies every training row correctly."""
    train_guessing: float | None = None
    """The training loss of a model that ignores its inputs, if it differs from ``guessing``."""
    epochs: Sequence[int] | None = None
    """The epoch of each value, if not every epoch was evaluated."""

    @property
    def guessing_in_training(self) -> float:
        """The training loss of a model that ignores its inputs."""
        return self.guessing if self.train_guessing is None else self.train_guessing

    def memorized(self, limits: Thresholds) -> bool:
        """Return whether the training loss ends well below guessing."""
        return bool(self.train[-1] < limits.fits_below_guessing * self.guessing_in_training)

    def learned(self, limits: Thresholds) -> bool:
        """Return whether nothing is left to learn from the training rows."""
        guessing = self.guessing_in_training
        low = math.isfinite(guessing) and self.train[-1] < limits.learned_below_guessing * guessing
        return self.perfect or bool(low)

    def epoch(self, index: int) -> int:
        """Return the epoch of the value at ``index``."""
        return index + 1 if self.epochs is None else self.epochs[index]

    def named(self, index: int) -> str:
        """Return the name of the epoch of the value at ``index``, as explanations show it."""
        return f"k = {self.epoch(index)}" if self.simpler else f"epoch {self.epoch(index)}"


@dataclass(frozen=True)
class Diagnosis:
    """A verdict and the numbers behind it."""

    verdict: Verdict
    reason: str
    best_epoch: int | None = None
    onset_epoch: int | None = None
    """First epoch from which the smoothed validation loss stays above its lowest point by more than the threshold."""
    gap_at_best: float | None = None
    regret: float | None = None
    threshold: float | None = None


def diagnose(run: Curves, reference: Curves | None = None, limits: Thresholds = THRESHOLDS) -> Diagnosis:
    """Diagnose a run, optionally against a ``reference`` run on the same data."""
    train, held_out = run.train, run.held_out
    if run.nonfinite or not np.isfinite(train).all() or not np.isfinite(held_out).all():
        return Diagnosis("diverged", "A loss stopped being a finite number.")
    if len(train) and train[-1] > limits.diverged_over_guessing * max(run.guessing_in_training, run.uniform):
        reason = f"The training loss ends at {train[-1]:.3g}; guessing gives {run.guessing_in_training:.3g}."
        return Diagnosis("diverged", reason)
    if len(held_out) < limits.least_epochs:
        units = "values of k" if run.simpler else "epochs" if run.epochs is None else "evaluated epochs"
        reason = f"{len(held_out)} {units} are too few for a diagnosis; at least {limits.least_epochs} are needed."
        return Diagnosis("undecided", reason)
    return _finite_curves(run, reference, limits)


def _finite_curves(run: Curves, reference: Curves | None, limits: Thresholds) -> Diagnosis:
    """Diagnose curves that are finite and long enough."""
    train, held_out = run.train, run.held_out
    window = limits.window(len(held_out))
    smooth = _smooth(held_out, window)
    lowest = int(smooth.argmin())
    best = _lowest_near(held_out, lowest, window)
    noise, correlation = correlated_noise(held_out, limits)
    noises = limits.regret_noises + limits.regret_noises_per_correlation * correlation
    threshold = float(max(noises * noise / np.sqrt(window), limits.share * smooth[lowest]))
    end = _end(held_out, window)
    regret = max(0.0, end - float(smooth[lowest]))
    numbers = Diagnosis(
        "undecided",
        "",
        best_epoch=run.epoch(best),
        gap_at_best=float(held_out[best] - train[best]),
        regret=regret,
        threshold=threshold,
    )
    without_use = float(smooth[lowest]) >= limits.generalizes_below_guessing * run.guessing
    if without_use and run.memorized(limits):
        reason = (
            f"The training loss falls to {train[-1]:.3g}, but the validation loss never gets well below guessing "
            f"({smooth[lowest]:.3g}; guessing gives {run.guessing:.3g})."
        )
        return replace(numbers, verdict="memorizes", reason=reason)
    if regret > threshold and smooth[lowest] < (1 - limits.share) * run.guessing:
        onset = int(np.flatnonzero(smooth - smooth[lowest] <= threshold)[-1]) + 1
        return replace(
            numbers,
            verdict="underfits" if run.simpler else "overfits",
            reason=f"The smoothed validation loss is lowest around {run.named(best)} "
            f"({smooth[lowest]:.4g}) and ends at {end:.4g}, {regret:.2g} higher; noise and small changes account for "
            f"{threshold:.2g}.",
            onset_epoch=run.epoch(onset),
        )
    verdict, reason = (
        _without_rise_simplifying(run, limits, end) if run.simpler else _without_rise(run, reference, limits, end)
    )
    return replace(numbers, verdict=verdict, reason=reason)


def _without_rise_simplifying(run: Curves, limits: Thresholds, end: float) -> tuple[Verdict, str]:
    """Return the verdict for models that become simpler and a validation loss that has not risen."""
    if _falls(run.held_out, limits):
        return "overfits", "The validation loss still falls as the model becomes simpler."
    return _settled_verdict(run, end, limits)


def _without_rise(run: Curves, reference: Curves | None, limits: Thresholds, end: float) -> tuple[Verdict, str]:
    """Return the verdict for a validation loss that has not risen and ends at ``end``."""
    held_out_falls = _falls(run.held_out, limits)
    if run.learned(limits):
        if _good(run, end, limits):
            return "fits", "Nothing is left to learn from the training rows, and the validation loss has not risen."
    elif held_out_falls and _falls(run.train, limits):
        return "underfits", "Training and validation loss both still fall at the last epoch."
    elif reference is not None and _lower(reference, run, limits):
        return "underfits", "The reference run ends lower on training and validation data."
    if held_out_falls:
        return "undecided", "The validation loss still falls and the training loss does not, which may be noise."
    return _settled_verdict(run, end, limits)


def _settled_verdict(run: Curves, end: float, limits: Thresholds) -> tuple[Verdict, str]:
    """Return the verdict for a validation loss that neither falls nor has risen."""
    if end >= (1 - limits.share) * run.guessing:
        reason = f"The validation loss ends at {end:.3g}, no better than guessing ({run.guessing:.3g})."
        return "worse_than_guessing", reason
    if _good(run, end, limits):
        return "fits", "The validation loss has stopped falling and has not risen."
    return "undecided", _too_high(run, end, limits)


def _too_high(run: Curves, end: float, limits: Thresholds) -> str:
    """Return the explanation of losses that have settled near guessing."""
    if run.memorized(limits):
        return (
            f"The validation loss has settled, but it is hardly below guessing ({end:.3g}; guessing gives "
            f"{run.guessing:.3g})."
        )
    if run.simpler:
        return f"The losses are high (training {run.train[-1]:.3g}; guessing gives {run.guessing_in_training:.3g})."
    return (
        f"The losses hardly fall any more, but the training loss is high ({run.train[-1]:.3g}; guessing gives "
        f"{run.guessing_in_training:.3g}). To find out whether a larger model or another learning rate does better, "
        "train one and pass it as reference."
    )


def _good(run: Curves, end: float, limits: Thresholds) -> bool:
    """Return whether both losses end well below guessing."""
    return run.memorized(limits) and end < limits.generalizes_below_guessing * run.guessing


def _smooth(values: Floats, window: int) -> Floats:
    """Return the mean over ``window`` values around each value; at the ends, over the first or last full window."""
    means = np.convolve(values, np.full(window, 1 / window), mode="valid")
    smoothed: Floats = np.pad(means, window // 2, mode="edge")
    return smoothed


def _lowest_near(values: Floats, index: int, window: int) -> int:
    """Return the index of the lowest of the values that the smoothed value at ``index`` averages."""
    first = min(max(0, index - window // 2), len(values) - window)
    return first + int(values[first : first + window].argmin())


def _falls(values: Floats, limits: Thresholds) -> bool:
    """Return whether the last window's mean is below that of the window before, by more than both fall limits.

    The fall must also last: within the last window, at least ``lasting_share`` of its rate is left by the Theil–Sen
    slope, or as much as noise can hide.
    """
    window = min(limits.window(len(values)), len(values) // 2)
    last, before = _end(values, window), values[-2 * window : -window].mean()
    noise, correlation = correlated_noise(values, limits)
    fall, error = before - last, error_of_difference(noise, correlation, window)
    if fall <= max(limits.fall_noises * error, limits.fall_share * abs(last)):
        return False
    first, second = np.triu_indices(window, 1)
    slope = np.median((values[-window:][second] - values[-window:][first]) / (second - first))
    hidden = limits.fall_noises * noise * np.sqrt(12 / window)  # √(12/w) is the error of a slope times w
    return bool(-slope * window > limits.lasting_share * fall - hidden)


def _end(values: Floats, window: int) -> float:
    """Return the mean of the last window, or its mean without the highest and the lowest value if that is smaller."""
    last = values[-window:]
    return float(min(last.mean(), np.sort(last)[1:-1].mean())) if window > 2 else float(last.mean())


def _lower(other: Curves, run: Curves, limits: Thresholds) -> bool:
    """Return whether the other run ends lower on both parts of the data by more than ``share``."""
    return all(
        len(theirs) and theirs[-1] < (1 - limits.share) * ours[-1]
        for theirs, ours in ((other.train, run.train), (other.held_out, run.held_out))
    )
