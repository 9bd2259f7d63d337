"""Error and power of the diagnosis of an arm over its seeds, beside those of single runs.

python -m benchmarks.diagnosis.arms
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from benchmarks.diagnosis.labels import Floats
from benchmarks.engine import machine
from service.statistics.arm_diagnosis import ArmCurves, diagnose_arm
from service.statistics.diagnosis import Curves, diagnose

GUESSING = math.log(10)
SEEDS, ARMS, ARMS_WITH_RISE = 8, 1500, 300
RISE_FROM, EPOCHS = 20, 60


def noise(rng: np.random.Generator, arms: int, epochs: int, correlation: float, size: float) -> Floats:
    """Return AR(1) noise (arms, seeds, epochs)."""
    values = rng.normal(size=(arms, SEEDS, epochs))
    for i in range(1, epochs):
        values[..., i] = correlation * values[..., i - 1] + values[..., i] * math.sqrt(1 - correlation**2)
    return size * values


def shares(held_out: Floats) -> tuple[float, float]:
    """Return the shares of arms, and of single runs, that overfit; held_out is (arms, seeds, epochs)."""
    train = np.full(held_out.shape[2], 0.05)
    arms = [diagnose_arm(ArmCurves([train] * SEEDS, list(one), GUESSING, GUESSING)).verdict for one in held_out]
    runs = [diagnose(Curves(train, one[0], GUESSING)).verdict for one in held_out]
    return arms.count("overfits") / len(arms), runs.count("overfits") / len(runs)


def rows() -> Iterator[str]:
    """Yield the rows of the table."""
    rng = np.random.default_rng(4)
    for epochs in (20, 60):
        for correlation in (0.0, 0.5, 0.9):
            arm, run = shares(0.4 + noise(rng, ARMS, epochs, correlation, 0.03))
            yield f"| flat, {epochs} epochs | {correlation} | {arm:.3f} | {run:.3f} |"
    e = np.arange(EPOCHS)
    for share in (0.05, 0.1, 0.2):
        rise = 0.4 * share * np.maximum(0, e - RISE_FROM + 1) / (EPOCHS - RISE_FROM)
        for correlation in (0.0, 0.5):
            level = 0.4 + 1.9 * np.exp(-0.25 * e) + rise
            arm, run = shares(level + noise(rng, ARMS_WITH_RISE, EPOCHS, correlation, 0.05))
            yield f"| rises by {share:.0%}, {EPOCHS} epochs | {correlation} | {arm:.3f} | {run:.3f} |"


def main() -> None:
    """Print the table."""
    print(machine())
    print("| curves | ρ | arms of 8 seeds | single runs |\n|---|---|---|---|")
    for row in rows():
        print(row, flush=True)


if __name__ == "__main__":
    main()
