"""Simulated curves: a shape, and noise of a kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.diagnosis.labels import Floats, Truth, label

GUESSING = math.log(10)
Curve = Callable[[Floats], Floats]


class Shape(NamedTuple):
    """Training and validation loss by epoch, without noise."""

    name: str
    epochs: int
    train: Curve
    held_out: Curve
    perfect: bool = False
    simpler: bool = False
    guessing: float = GUESSING


def fall(to: float, rate: float, start: float = GUESSING) -> Curve:
    """Return an exponential fall."""
    return lambda e: to + (start - to) * np.exp(-rate * e)


def rise(base: Curve, start: float, by: float, over: float) -> Curve:
    """Return ``base`` with a rise of ``by`` over so many epochs from ``start`` on."""
    return lambda e: base(e) + by * np.maximum(0, e - start) / over


SHAPES = (
    *(Shape(f"settles in {n}", n, fall(0.25, 12 / n), fall(0.4, 12 / n)) for n in (12, 20, 30, 60, 120)),
    *(
        Shape(
            f"rises by {share:.0%} in {n}", n, fall(0.05, 12 / n), rise(fall(0.4, 15 / n), n / 3, 0.4 * share, n / 1.5)
        )
        for n, share in ((12, 0.5), (20, 0.3), (20, 1.0), (40, 0.15), (40, 0.3), (60, 0.2), (60, 0.6), (120, 0.3))
    ),
    *(Shape(f"falls in {n}", n, fall(0.2, r / n), fall(0.3, r / n)) for n, r in ((12, 1), (20, 1.5), (40, 2), (80, 2))),
    *(Shape(f"high plateau in {n}", n, fall(1.5, 15 / n), fall(1.6, 15 / n)) for n in (20, 60)),
    *(Shape(f"guesses in {n}", n, fall(2.29, 5 / n), fall(2.31, 5 / n)) for n in (12, 40)),
    Shape("rises from guessing", 30, fall(2.2, 0.1), rise(fall(2.3, 0.1), 0, 0.5, 30)),
    *(
        Shape(f"memorizes in {n}", n, fall(0.02, 8 / n), rise(fall(2.28, 1), 3, up, n))
        for n, up in ((20, 0.3), (60, 2.0))
    ),
    *(Shape(f"at zero in {n}", n, fall(0.004, 14 / n), fall(0.35, 10 / n), perfect=True) for n in (20, 60)),
    Shape("rises at zero", 40, fall(0.004, 0.3), rise(fall(0.35, 0.5), 12, 0.1, 28), perfect=True),
    Shape("rare class", 30, fall(0.1, 0.3, 0.33), fall(0.15, 0.3, 0.33), guessing=0.325),
    Shape("majority only", 30, fall(0.32, 0.3, 0.7), fall(0.326, 0.3, 0.7), guessing=0.325),
    Shape("loss runs away", 12, lambda e: 2.3 + e, lambda e: 2.3 + e),
    Shape("k too large", 60, lambda k: 0.4 + 0.01 * k, lambda k: 0.4 + 1 / k + 0.006 * k, simpler=True),
    Shape("k too small", 20, lambda k: 0.3 + 0.01 * k, lambda k: 0.5 + 0.8 * np.exp(-k / 15), simpler=True),
    Shape("k is right", 30, lambda k: 0.5 + 0.002 * k, lambda k: 0.6 + 0.5 * np.exp(-k / 4), simpler=True),
)


def _correlated(rng: Any, size: int, correlation: float) -> Floats:
    """Return AR(1) noise of unit variance."""
    noise: Floats = rng.normal(size=size)
    for i in range(1, size):
        noise[i] = correlation * noise[i - 1] + noise[i] * math.sqrt(1 - correlation**2)
    return noise


def _spiked(rng: Any, size: int) -> Floats:
    """Return small noise with a spike in the last epoch."""
    noise: Floats = rng.normal(size=size) / 5
    noise[-1] += 15
    return noise


NOISES: dict[str, tuple[float, Callable[[Any, int], Floats]]] = {
    "quiet": (0.005, lambda rng, size: rng.normal(size=size)),
    "normal": (0.03, lambda rng, size: rng.normal(size=size)),
    "heavy tails": (0.015, lambda rng, size: rng.standard_t(3, size)),
    "AR(1) 0.5": (0.02, lambda rng, size: _correlated(rng, size, 0.5)),
    "AR(1) 0.8": (0.02, lambda rng, size: _correlated(rng, size, 0.8)),
    "spike": (0.02, _spiked),
}
"""Standard deviation as a share of the settled loss, and the noise."""


def cases() -> Iterator[dict[str, Any]]:
    """Yield every shape with two kinds of noise in turn, and one that became NaN."""
    for i, shape in enumerate(SHAPES):
        e = np.arange(1.0, 2 * shape.epochs + 1)
        train, held_out = shape.train(e), shape.held_out(e)
        ends = slice(shape.epochs)
        diverged = train[ends][-1] > 2 * GUESSING
        truth = Truth(
            train[ends][-1], held_out[ends], held_out, shape.guessing, shape.guessing, shape.perfect, diverged,
            shape.simpler,
        )  # fmt: skip
        names = list(NOISES)
        for j, kind in enumerate((names[i % len(names)], names[(i + 1 + i // len(names)) % len(names)])):
            share, draw = NOISES[kind]
            rng = np.random.default_rng([i, j])
            level = share * held_out[ends].min()
            yield {
                "name": f"{shape.name}, {kind}", "source": "simulated", "expected": label(truth),
                "train": train[ends] * (1 + 0.01 * rng.normal(size=shape.epochs)),
                "held_out": held_out[ends] + level * draw(rng, shape.epochs),
                "guessing": shape.guessing, "train_guessing": shape.guessing, "uniform": GUESSING,
                "perfect": shape.perfect, "simpler": shape.simpler,
            }  # fmt: skip
