"""What a run's curves say: whether it fits, underfits, overfits, has diverged, or whether that cannot be told.

All thresholds are in ``Thresholds``, with a version that is raised whenever one of them or a rule changes. Curves are
smoothed by the mean over a window of ``window_share`` of the epochs, at least ``least_window`` (at the ends the first
or last so many). Noise σ is estimated from second differences, in which a smooth curve all but vanishes, so that the
mean over w epochs is known to σ/√w. Where it makes σ smaller, the largest of them, a share ``steep_share``, are left
out and made up for as of normal noise: the fall of the first epochs is steep and no noise.

- *diverged*: a loss is no longer finite, or the training loss ends above ``diverged_over_guessing`` times that of
  guessing (ln of the number of classes; of numbers, the loss of their mean).
- *overfits*: the smoothed validation loss ends above its lowest point by more than ``regret_noises`` · σ/√w and by
  more than ``share`` of it. Of curves that are flat but for normal noise fewer than one in twenty does so; where noise
  has heavy tails (Student's t with three degrees of freedom), fewer than one in ten.
- *underfits*: training and validation loss both still fall at the end (the last window's mean is below that of the
  window before by more than ``fall_noises`` of its standard deviations, σ·√(2/w), and by more than ``fall_share`` of
  it), or a run given for comparison ends lower on both.
- *fits*: the validation loss has stopped falling, has not risen, and the training loss is below
  ``fits_below_guessing`` of guessing's.
- *undecided*: anything else; among it, curves of fewer than ``least_epochs`` epochs.

Where later epochs are simpler models and not longer trained ones (more neighbours), the first two change places: a
validation loss that ends above its lowest point *underfits*, and one that still falls *overfits*.

Reference: Gasser, Sroka and Jennen-Steinmetz, 1986, "Residual variance and residual pattern in nonlinear regression"
(noise from second differences); Tukey, 1960, "A survey of sampling from contaminated distributions" (leaving the
largest out); Prechelt, 1998, "Early stopping – but when?" (the regret of the last epoch).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from service.statistics.sign_flip import Floats

VERSION = 3
Verdict = Literal["fits", "underfits", "overfits", "diverged", "undecided"]


@dataclass(frozen=True)
class Thresholds:
    """Where the verdicts part."""

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

    def told(self) -> dict[str, float]:
        """As they are in answers."""
        return asdict(self)

    def window(self, epochs: int) -> int:
        """Epochs that a smoothed value is the mean of; odd."""
        return max(self.least_window, round(self.window_share * epochs)) | 1


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Curves:
    """Losses in evaluation mode from epoch 1 on; NaN where a value was not finite."""

    train: Floats
    held_out: Floats
    guessing: float
    """The loss of a model that knows nothing."""
    nonfinite: bool = False
    """Whether the run ended since a loss was not finite."""
    simpler: bool = False
    """Whether a later epoch is a simpler model, and not the same one trained for longer."""


@dataclass(frozen=True)
class Diagnosis:
    """The verdict and the numbers it rests on."""

    verdict: Verdict
    reason: str
    best_epoch: int | None = None
    onset_epoch: int | None = None
    """From here to the end the smoothed validation loss is above its lowest point by more than the threshold."""
    gap_at_best: float | None = None
    regret: float | None = None
    threshold: float | None = None


def diagnose(run: Curves, reference: Curves | None = None, limits: Thresholds = THRESHOLDS) -> Diagnosis:
    """The verdict on a run, where given in comparison with another one on the same data."""
    train, held_out = run.train, run.held_out
    if run.nonfinite or not np.isfinite(train).all() or not np.isfinite(held_out).all():
        return Diagnosis("diverged", "A loss stopped being a finite number.")
    if len(train) and train[-1] > limits.diverged_over_guessing * run.guessing:
        reason = f"The training loss ends at {train[-1]:.3g}, where guessing has {run.guessing:.3g}."
        return Diagnosis("diverged", reason)
    if len(held_out) < limits.least_epochs:
        reason = f"{len(held_out)} epochs are too few to tell; it takes at least {limits.least_epochs}."
        return Diagnosis("undecided", reason)
    window = limits.window(len(held_out))
    smooth = _smooth(held_out, window)
    lowest = int(smooth.argmin())
    best = _lowest_near(held_out, lowest, window)
    noise = _noise(held_out, limits) / np.sqrt(window)
    threshold = float(max(limits.regret_noises * noise, limits.share * smooth[lowest]))
    regret = float(smooth[-1] - smooth[lowest])
    found = Diagnosis(
        "undecided",
        "",
        best_epoch=best + 1,
        gap_at_best=float(held_out[best] - train[best]),
        regret=regret,
        threshold=threshold,
    )
    if regret > threshold:
        onset = int(np.flatnonzero(smooth - smooth[lowest] <= threshold)[-1]) + 2
        return _with(
            found,
            "underfits" if run.simpler else "overfits",
            f"The smoothed validation loss is lowest around epoch {best + 1} ({smooth[lowest]:.4g}) and ends at "
            f"{smooth[-1]:.4g}, {regret:.2g} higher; noise and small changes account for {threshold:.2g}.",
            onset,
        )
    return _settled(found, run, limits) if run.simpler else _not_overfitting(found, run, reference, limits)


def _settled(found: Diagnosis, run: Curves, limits: Thresholds) -> Diagnosis:
    """The verdict on models that become simpler, where the last one is not too simple."""
    if _falls(run.held_out, limits):
        return _with(found, "overfits", "The validation loss still falls as the model becomes simpler.")
    if run.train[-1] < limits.fits_below_guessing * run.guessing:
        return _with(found, "fits", "The validation loss has stopped falling and has not risen.")
    reason = f"The validation loss has settled, but the training loss is high ({run.train[-1]:.3g})."
    return _with(found, "undecided", reason)


def _not_overfitting(found: Diagnosis, run: Curves, reference: Curves | None, limits: Thresholds) -> Diagnosis:
    train_falls, held_out_falls = _falls(run.train, limits), _falls(run.held_out, limits)
    if train_falls and held_out_falls:
        return _with(found, "underfits", "Training and validation loss both still fall at the last epoch.")
    if reference is not None and _lower(reference, run, limits):
        return _with(found, "underfits", "The run it was compared with ends lower on training and validation data.")
    if held_out_falls:
        return _with(found, "undecided", "The validation loss still falls, the training loss does not: noise, or luck.")
    if run.train[-1] < limits.fits_below_guessing * run.guessing:
        return _with(found, "fits", "The validation loss has stopped falling and has not risen.")
    return _with(
        found,
        "undecided",
        f"The losses hardly fall any more, but the training loss is high ({run.train[-1]:.3g}; guessing has "
        f"{run.guessing:.3g}). Whether a larger model or another learning rate does better only another run can tell: "
        "name it as reference.",
    )


def _with(found: Diagnosis, verdict: Verdict, reason: str, onset: int | None = None) -> Diagnosis:
    return Diagnosis(verdict, reason, found.best_epoch, onset, found.gap_at_best, found.regret, found.threshold)


def _smooth(values: Floats, window: int) -> Floats:
    """The mean over ``window`` values around each, or the first or last so many; at least so many there must be."""
    means = np.convolve(values, np.full(window, 1 / window), mode="valid")
    smoothed: Floats = np.pad(means, window // 2, mode="edge")
    return smoothed


def _lowest_near(values: Floats, index: int, window: int) -> int:
    """Where the lowest of the values is whose mean the smoothed value at ``index`` is."""
    first = min(max(0, index - window // 2), len(values) - window)
    return first + int(values[first : first + window].argmin())


def _noise(values: Floats, limits: Thresholds) -> float:
    """The standard deviation of independent noise on a smooth curve, from all its second differences or the lesser."""
    bends = np.diff(values, 2)
    sizes = np.sort(np.abs(bends))
    kept = sizes[: len(sizes) - math.ceil(limits.steep_share * len(sizes))]
    share = len(kept) / len(sizes)
    end = NormalDist().inv_cdf((1 + share) / 2)
    density = math.exp(-end * end / 2) / math.sqrt(2 * math.pi)
    variance = 1 - 2 * end * density / share  # of what is left of a standard normal variable
    return math.sqrt(min(bends.var(), np.mean(np.square(kept)) / variance) / 6)


def _falls(values: Floats, limits: Thresholds) -> bool:
    """Whether the last window's mean is below that of the one before, by more than noise and by a small share."""
    window = min(limits.window(len(values)), len(values) // 2)
    last, before = values[-window:].mean(), values[-2 * window : -window].mean()
    noise = _noise(values, limits) * np.sqrt(2 / window)
    return bool(before - last > max(limits.fall_noises * noise, limits.fall_share * abs(last)))


def _lower(other: Curves, run: Curves, limits: Thresholds) -> bool:
    """Whether another run ends lower on both parts of the data, by more than a small share."""
    return all(
        len(theirs) and theirs[-1] < (1 - limits.share) * ours[-1]
        for theirs, ours in ((other.train, run.train), (other.held_out, run.held_out))
    )
