"""MNIST-1D: one-dimensional figures of ten classes, generated; small, yet it tells models apart.

A template of 12 points is padded, dilated, scaled and shifted at random, gets correlated and white noise and a shear,
and is read at 40 points. The draws follow the published generator's order, so the data are its data.

Reference: Greydanus and Kobak, 2024, "Scaling down deep learning with MNIST-1D".
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.built_in import BuiltIn
from worker.spec.families.dataset import Arrays

if TYPE_CHECKING:
    import numpy as np

    Signal = np.ndarray[Any, np.dtype[np.float64]]

TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
SAMPLES, TEST_SAMPLES = 5000, 1000
SEED = 42
PADDING = (36, 60)
LENGTH, WIDTH = 72, 40
"""Points of a dilated figure, and of a finished one."""
SCALE, SHIFT, SHEAR = 0.4, 48, 0.75
CORRELATED_NOISE, WHITE_NOISE, SMOOTHING = 0.25, 0.02, 2.0


class MNIST1D(BuiltIn):
    """4000 training and 1000 test figures of 40 points, in ten classes, generated with the published settings."""

    reference: ClassVar[str] = "Greydanus and Kobak 2024, Scaling down deep learning with MNIST-1D"
    shape: ClassVar[tuple[int, ...]] = (WIDTH,)
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    rows: ClassVar[tuple[int, int]] = (SAMPLES - TEST_SAMPLES, TEST_SAMPLES)

    kind: Literal["mnist1d"] = "mnist1d"
    validation_size: int = Field(default=800, ge=0, description="Rows held out of the training part for validation.")

    @classmethod
    @functools.cache
    def digest(cls) -> str:
        """Of the recipe: all its figures."""
        from worker.spec.canonical import sha256_of

        figures = [SAMPLES, TEST_SAMPLES, SEED, PADDING, LENGTH, WIDTH, SCALE, SHIFT, SHEAR]
        noise = [CORRELATED_NOISE, WHITE_NOISE, SMOOTHING]
        return sha256_of({"recipe": "mnist1d-1", "templates": TEMPLATES, "figures": figures, "noise": noise})

    @classmethod
    def load(cls, home: Path) -> Arrays:
        """The figures as float32 (N, 40), of mean 0 and standard deviation 1 over all."""
        import numpy as np

        x, y = _figures()
        x = ((x - x.mean()) / x.std()).astype(np.float32)
        split, y = SAMPLES - TEST_SAMPLES, y.copy()
        return Arrays(x[:split], y[:split], x[split:], y[split:])


@functools.cache
def _figures() -> tuple[Signal, np.ndarray[Any, np.dtype[np.int64]]]:
    """All figures in their shuffled order, before they are standardised; they take half a second, and 2 MB."""
    import numpy as np

    rng = np.random.RandomState(SEED)  # the published generator's; its stream is frozen by numpy
    templates = np.array(TEMPLATES)
    templates -= templates.mean(1, keepdims=True)
    templates /= templates.std(1, keepdims=True)
    templates = (templates - templates[:, :1]) / 6
    each = SAMPLES // len(templates)
    x = np.stack([_figure(template, rng) for template in templates for _ in range(each)])
    order = rng.permutation(SAMPLES)
    return x[order], np.repeat(np.arange(len(templates)), each)[order]


def _figure(template: Signal, rng: np.random.RandomState) -> Signal:
    """One figure: the template, deformed."""
    import numpy as np

    low, high = PADDING
    padding = np.zeros(low + int(rng.rand() * (high - low + 1)))
    x = _resampled(np.concatenate([template + 1e-8, padding]), LENGTH)
    x *= 1 + SCALE * (rng.rand() - 0.5)
    x = np.roll(x, rng.choice(SHIFT))
    correlated = _smoothed(CORRELATED_NOISE * rng.randn(LENGTH))
    x = np.where(x != 0, x, correlated) + WHITE_NOISE * rng.randn(LENGTH)
    x = x - SHEAR * (rng.rand() - 0.5) * _steps(-0.5, 0.5, LENGTH)
    return _resampled(x, WIDTH)


def _resampled(x: Signal, count: int) -> Signal:
    """``x`` read at ``count`` evenly spaced points, linearly between its own."""
    import numpy as np

    return np.interp(_steps(0, 1, count), _steps(0, 1, len(x)), x)


def _smoothed(x: Signal) -> Signal:
    """``x`` under a Gaussian of SMOOTHING points, cut at four standard deviations, mirrored at the ends."""
    import numpy as np

    kernel = _kernel()
    return np.convolve(np.pad(x, len(kernel) // 2, mode="symmetric"), kernel, mode="valid")


@functools.cache
def _steps(low: float, high: float, count: int) -> Signal:
    """Evenly spaced points."""
    import numpy as np

    return np.linspace(low, high, count)


@functools.cache
def _kernel() -> Signal:
    """The weights of a Gaussian of SMOOTHING points, cut at four standard deviations."""
    import numpy as np

    radius = int(4 * SMOOTHING + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float64)
