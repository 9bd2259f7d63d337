"""Diagnosis of a run's loss curves: fits, underfits, overfits, diverged or undecided.

All thresholds are in ``Thresholds``; ``VERSION`` is raised whenever a threshold or a rule changes. Curves are smoothed
by the mean over a window of ``window_share`` of the epochs, at least ``least_window`` (at the ends, the first or last
full window). Noise σ is estimated from second differences, in which a smooth curve all but vanishes, so the mean over w
epochs has a standard error of σ/√w. If that makes σ smaller, the largest second differences, a share ``steep_share``,
are left out and compensated for as under normal noise: the steep fall of the first epochs is not noise.

- *diverged*: a loss is no longer finite, or the final training loss exceeds ``diverged_over_guessing`` times the loss
  of guessing (for classes, ln of their number; for numeric targets, the loss of predicting their mean).
- *overfits*: the smoothed validation loss ends above its lowest point by more than ``regret_noises`` · σ/√w and by
  more than ``share`` of it. Of flat curves with normal noise, fewer than one in twenty gets this verdict; with
  heavy-tailed noise (Student's t with three degrees of freedom), fewer than one in ten.
- *underfits*: training and validation loss both still fall at the end (the last window's mean is below that of the
  window before by more than ``fall_noises`` of its standard deviations, σ·√(2/w), and by more than ``fall_share`` of
  it), or a reference run ends lower on both.
- *fits*: the validation loss has stopped falling and has not risen, and the training loss is below
  ``fits_below_guessing`` times the loss of guessing.
- *undecided*: all other curves, among them those of fewer than ``least_epochs`` epochs.

If later epochs are simpler models rather than longer training (kNN with more neighbors), the two verdicts swap: a
validation loss that ends above its lowest point *underfits*, and one that still falls *overfits*.

Reference: Gasser, Sroka and Jennen-Steinmetz, 1986, "Residual variance and residual pattern in nonlinear regression"
(noise from second differences); Tukey, 1960, "A survey of sampling from contaminated distributions" (leaving out
the largest); Prechelt, 1998, "Early stopping – but when?" (the regret of the last epoch).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from service.statistics.sign_flip import Floats

VERSION = 3
Verdict = Literal["fits", "underfits", "overfits", "diverged", "undecided"]


@dataclass(frozen=True)
class Thresholds:
    """Boundaries between the verdicts."""

    window_share: float = 0.2
    least_window: int = 5
    regret_noises: float = 4.0
    fall_noises: float = 2.0
    fall_share: float = 0.005
    share: float = 0.02
    least_epochs: int = 8
    steep_share: float = 0.2
    diverged_over_guessing: float = 2.0
    fits_below_guessing: float = 0.5

    def as_dict(self) -> dict[str, float]:
        """Return the thresholds by name, as responses show them."""
        return asdict(self)

    def window(self, epochs: int) -> int:
        """Return the number of epochs that a smoothed value averages; odd."""
        return max(self.least_window, round(self.window_share * epochs)) | 1


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Curves:
    """Losses in evaluation mode from epoch 1 on; NaN for values that were not finite."""

    train: Floats
    held_out: Floats
    guessing: float
    """The loss of a model that ignores its inputs."""
    nonfinite: bool = False
    """Whether the run ended because a loss was not finite."""
    simpler: bool = False
    """Whether a later epoch is a simpler model rather than the same model trained longer."""


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
    if len(train) and train[-1] > limits.diverged_over_guessing * run.guessing:
        reason = f"The training loss ends at {train[-1]:.3g}; guessing gives {run.guessing:.3g}."
        return Diagnosis("diverged", reason)
    if len(held_out) < limits.least_epochs:
        reason = f"{len(held_out)} epochs are too few for a diagnosis; at least {limits.least_epochs} are needed."
        return Diagnosis("undecided", reason)
    return _finite_curves(run, reference, limits)


def _finite_curves(run: Curves, reference: Curves | None, limits: Thresholds) -> Diagnosis:
    """Diagnose curves that are finite and long enough."""
    train, held_out = run.train, run.held_out
    window = limits.window(len(held_out))
    smooth = _smooth(held_out, window)
    lowest = int(smooth.argmin())
    best = _lowest_near(held_out, lowest, window)
    noise = _noise(held_out, limits) / np.sqrt(window)
    threshold = float(max(limits.regret_noises * noise, limits.share * smooth[lowest]))
    regret = float(smooth[-1] - smooth[lowest])
    numbers = Diagnosis(
        "undecided",
        "",
        best_epoch=best + 1,
        gap_at_best=float(held_out[best] - train[best]),
        regret=regret,
        threshold=threshold,
    )
    if regret > threshold:
        onset = int(np.flatnonzero(smooth - smooth[lowest] <= threshold)[-1]) + 2
        return replace(
            numbers,
            verdict="underfits" if run.simpler else "overfits",
            reason=f"The smoothed validation loss is lowest around epoch {best + 1} ({smooth[lowest]:.4g}) and ends at "
            f"{smooth[-1]:.4g}, {regret:.2g} higher; noise and small changes account for {threshold:.2g}.",
            onset_epoch=onset,
        )
    verdict, reason = _without_rise_simplifying(run, limits) if run.simpler else _without_rise(run, reference, limits)
    return replace(numbers, verdict=verdict, reason=reason)


def _without_rise_simplifying(run: Curves, limits: Thresholds) -> tuple[Verdict, str]:
    """Return the verdict for models that become simpler and a validation loss that has not risen."""
    if _falls(run.held_out, limits):
        return "overfits", "The validation loss still falls as the model becomes simpler."
    if run.train[-1] < limits.fits_below_guessing * run.guessing:
        return "fits", "The validation loss has stopped falling and has not risen."
    return "undecided", f"The validation loss has settled, but the training loss is high ({run.train[-1]:.3g})."


def _without_rise(run: Curves, reference: Curves | None, limits: Thresholds) -> tuple[Verdict, str]:
    """Return the verdict for a validation loss that has not risen."""
    train_falls, held_out_falls = _falls(run.train, limits), _falls(run.held_out, limits)
    if train_falls and held_out_falls:
        return "underfits", "Training and validation loss both still fall at the last epoch."
    if reference is not None and _lower(reference, run, limits):
        return "underfits", "The reference run ends lower on training and validation data."
    if held_out_falls:
        return "undecided", "The validation loss still falls and the training loss does not, which may be noise."
    if run.train[-1] < limits.fits_below_guessing * run.guessing:
        return "fits", "The validation loss has stopped falling and has not risen."
    return (
        "undecided",
        f"The losses hardly fall any more, but the training loss is high ({run.train[-1]:.3g}; guessing gives "
        f"{run.guessing:.3g}). To find out whether a larger model or another learning rate does better, train one and "
        "pass it as reference.",
    )


def _smooth(values: Floats, window: int) -> Floats:
    """Return the mean over ``window`` values around each value; at the ends, over the first or last full window."""
    means = np.convolve(values, np.full(window, 1 / window), mode="valid")
    smoothed: Floats = np.pad(means, window // 2, mode="edge")
    return smoothed


def _lowest_near(values: Floats, index: int, window: int) -> int:
    """Return the index of the lowest of the values that the smoothed value at ``index`` averages."""
    first = min(max(0, index - window // 2), len(values) - window)
    return first + int(values[first : first + window].argmin())


def _noise(values: Floats, limits: Thresholds) -> float:
    """Estimate the standard deviation of independent noise on a smooth curve.

    The smaller of two estimates: from all second differences, and from all but the largest.
    """
    bends = np.diff(values, 2)
    sizes = np.sort(np.abs(bends))
    smaller = sizes[: len(sizes) - math.ceil(limits.steep_share * len(sizes))]
    share = len(smaller) / len(sizes)
    end = NormalDist().inv_cdf((1 + share) / 2)
    density = math.exp(-end * end / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * end * density / share  # of a standard normal variable truncated at ±end
    return math.sqrt(min(bends.var(), np.mean(np.square(smaller)) / variance) / 6)


def _falls(values: Floats, limits: Thresholds) -> bool:
    """Return whether the last window's mean is below the mean of the window before by more than both fall limits."""
    window = min(limits.window(len(values)), len(values) // 2)
    last, before = values[-window:].mean(), values[-2 * window : -window].mean()
    noise = _noise(values, limits) * np.sqrt(2 / window)
    return bool(before - last > max(limits.fall_noises * noise, limits.fall_share * abs(last)))


def _lower(other: Curves, run: Curves, limits: Thresholds) -> bool:
    """Return whether the other run ends lower on both parts of the data by more than ``share``."""
    return all(
        len(theirs) and theirs[-1] < (1 - limits.share) * ours[-1]
        for theirs, ours in ((other.train, run.train), (other.held_out, run.held_out))
    )
