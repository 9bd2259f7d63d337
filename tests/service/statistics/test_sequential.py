"""Sequential studies against brute force over all flips, and their rules one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from service.statistics.design import Design
from service.statistics.pairing import PairedSample
from service.statistics.sequential import SequentialAnalysis, analyze

Floats = NDArray[np.float64]

SMALL = Design(9, first=6, step=1, alpha=0.2)

matrices = st.integers(1, 3).flatmap(
    lambda m: arrays.arrays(float, (9, m), elements=st.integers(-12, 12).map(float), fill=st.nothing())
)


def samples(d: Floats) -> list[PairedSample]:
    seeds = tuple(range(len(d)))
    return [PairedSample(f"arm {j}", "plain", seeds, d[:, j], (), (), 0, True) for j in range(d.shape[1])]


def analysis(d: Floats, design: Design = SMALL, min_effect: float | None = None) -> SequentialAnalysis:
    return analyze(design, samples(d), range(len(d)), min_effect=min_effect)


def decided_at(result: SequentialAnalysis) -> list[int | None]:
    return [one.decided_at for one in result.results]


def scale(d: Floats) -> Floats:
    scales: Floats = np.linalg.norm(d, axis=0)
    return np.where(scales > 0, scales, 1.0)


def brute_force_thresholds(d: Floats, design: Design) -> list[float]:
    """Return the critical values of the columns of ``d`` by the definition, from all 2ⁿ sign vectors of each look."""
    values: list[float] = []
    spent, rejectable = 0.0, False
    for n in (n for n in design.looks if n <= len(d)):
        signs = np.array(list(itertools.product([1.0, -1.0], repeat=n)))

        def statistics(seeds: int, signs: Floats = signs) -> Floats:
            return signs[:, :seeds] @ d[:seeds] / scale(d[:seeds])

        now = statistics(n)
        crossed = np.zeros(now.shape, bool)
        for earlier, value in zip(design.looks, values, strict=False):
            crossed |= statistics(earlier) * np.sign(now) > value
        largest = np.where(crossed, -1, np.abs(now)).max(axis=1)
        allowed = math.floor((design.spendable(n) - spent) * len(signs) / 2 + 1e-9)  # s and −s together
        candidates = [v for v in sorted({0.0, *np.abs(now).ravel()}) if (largest > v + 1e-9).sum() <= 2 * allowed]
        values.append(candidates[0] + 1e-10 if allowed else math.inf)
        if d.shape[1] == 1:
            spent += float((largest > values[-1]).mean())
        else:
            tops = (np.abs(now) >= np.abs(now).max(axis=0) - 1e-9).mean(axis=0)
            rejectable = rejectable or bool((tops <= design.spendable(n) + 1e-12).any())
            spent += 2 * allowed / len(signs) if rejectable else 0
    return values


def brute_force_decisions(d: Floats, design: Design) -> list[int | None]:
    left = list(range(d.shape[1]))
    decided: list[int | None] = [None for _ in left]
    for k, n in enumerate(design.looks):
        while left:
            values = brute_force_thresholds(d[:n, left], design)
            t = np.array([np.abs(d[:m, left].sum(axis=0)) / scale(d[:m, left]) for m in design.looks[: k + 1]])
            crossed = [j for i, j in enumerate(left) if (t[:, i] > values).any()]
            if not crossed:
                break
            for j in crossed:
                decided[j] = n
            left = [j for j in left if j not in crossed]
    return decided


@settings(max_examples=25)
@given(matrices)
def test_decisions_match_brute_force_over_all_signs(d: Floats) -> None:
    assert decided_at(analysis(d)) == brute_force_decisions(d, SMALL)
