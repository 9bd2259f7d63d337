"""Error, power, expected seeds and interval coverage of sequential studies; writes a dated result.

    python -m benchmarks.sequential [errors] [powers] [coverage] [bias]

All parts take about six minutes on a quiet core. Every study is analyzed by the code of the service.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine import RESULTS, machine
from service.statistics.boundary import Boundary, Family
from service.statistics.design import Design
from service.statistics.pairing import PairedSample
from service.statistics.power import sequential_power
from service.statistics.repeated_interval import ShiftedTest
from service.statistics.sequential import SequentialResult, analyze
from service.statistics.sign_flip import two_sided_p

Floats = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, int]], Floats]

DESIGN = Design(32)
STUDIES = 1000
EFFECTS = (0.4, 0.6, 0.8, 1.0, 1.5, 2.0)


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.normal(size=shape)


def heavy_tails(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.standard_t(1.5, shape) * np.exp(rng.normal(0, 1, (shape[0], 1)))


def ties(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.integers(-1, 2, shape).astype(float)


def correlated(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Arms that hardly differ from each other; the baseline varies."""
    return rng.normal(size=shape) * [3.0, *[0.1] * (shape[1] - 1)]


def growing(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Later seeds vary 30 times as much as the first."""
    return rng.normal(size=shape) * np.geomspace(1, 30, shape[0])[:, None]


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Equal arms with exponential values: symmetric pair by pair, but not all pairs of a seed together."""
    return rng.exponential(size=shape)


NOISES = (normal, heavy_tails, ties, correlated, growing, skewed)


def study(
    rng: np.random.Generator, noise: Noise, effects: int, missing: float, diverging: float, min_effect: float | None
) -> list[SequentialResult]:
    """Return the results of three arms against a baseline, of which the first ``effects`` differ from it."""
    values = noise(rng, (32, 4))
    d = values[:, 1:] - values[:, :1]
    d[:, :effects] += np.median(np.abs(d))
    diverged = rng.random((32, 4)) < diverging
    paired = ~diverged[:, 1:] & ~diverged[:, :1] & (rng.random(d.shape) >= missing)
    lost, won = diverged[:, 1:] & ~diverged[:, :1], diverged[:, :1] & ~diverged[:, 1:]
    samples = [
        PairedSample(
            str(j),
            "",
            tuple(np.flatnonzero(paired[:, j]).tolist()),
            d[paired[:, j], j],
            tuple(np.flatnonzero(lost[:, j]).tolist()),
            tuple(np.flatnonzero(won[:, j]).tolist()),
            0,
            lower_is_better=True,
        )
        for j in range(3)
    ]
    return list(analyze(DESIGN, samples, range(32), min_effect=min_effect, intervals=False).results)


def errors(noises: Sequence[Noise] = NOISES) -> Iterator[str]:
    """Yield the share of studies with a false verdict on an arm without an effect."""
    studies = 400
    yield f"## Error at 0.05\n\n{studies} studies each of three arms; simulation error 0.011.\n"
    columns = ("no effect", "one arm with an effect", "10 % of runs missing", "5 % diverge", "equivalent arms stop")
    yield f"| differences | {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|"
    for noise in noises:
        shares = []
        margin = float(np.std(noise(np.random.default_rng(0), (10_000, 2))[:, 0]))
        for effects, missing, diverging, effect in (
            (0, 0, 0, None),
            (1, 0, 0, None),
            (1, 0.1, 0, None),
            (1, 0, 0.05, None),
            (1, 0, 0, margin),
        ):
            rng = np.random.default_rng(1)
            wrong = sum(
                any(
                    one.decision in {"better", "worse"}
                    for one in study(rng, noise, effects, missing, diverging, effect)[effects:]
                )
                for _ in range(studies)
            )
            shares.append(f"{wrong / studies:.3f}")
        yield f"| {noise.__name__.replace('_', ' ')} | {' | '.join(shares)} |"


def powers() -> Iterator[str]:
    """Yield the power and the expected seeds beside those of fixed numbers of seeds."""
    yield "\n## Power and expected seeds\n"
    yield f"Normal differences; {STUDIES} studies of one arm, 200 of ten. At most 32 seeds.\n"
    yield "| effect (sd) | power, one arm | seeds | power, ten arms | seeds | fixed 32 seeds, one arm | fixed 12 |"
    yield "|---|---|---|---|---|---|---|"
    for effect in EFFECTS:
        one, ten = sequential_power(DESIGN, effect, studies=STUDIES), sequential_power(DESIGN, effect, 10)
        rng = np.random.default_rng(2)
        fixed = [np.mean([two_sided_p(rng.normal(effect, 1, n)) <= 0.05 for _ in range(300)]) for n in (32, 12)]
        yield (
            f"| {effect} | {one.power:.2f} | {one.seeds:.1f} | {ten.power:.2f} | {ten.seeds:.1f} "
            f"| {fixed[0]:.2f} | {fixed[1]:.2f} |"
        )


def coverage() -> Iterator[str]:
    """Yield the share of studies whose intervals contain the truth: those of all seven looks, and the last one.

    The intervals are those of the service. Beside them stands the share of studies in which no look's test of the true
    difference, here 0, is significant, which the theory of the intervals is about.
    """
    studies = 400
    yield f"\n## Repeated intervals of level 0.95\n\n{studies} studies; simulation error 0.011.\n"
    yield "| differences | all seven intervals cover | the last one covers | no test of the truth is significant |"
    yield "|---|---|---|---|"
    looks = len(DESIGN.looks)
    for noise in (normal, heavy_tails, ties, growing):
        rng, covered, accepted = np.random.default_rng(3), [], []
        for _ in range(studies):
            values = noise(rng, (32, 2))
            d = values[:, 1:] - values[:, :1]
            boundary = Boundary.of(DESIGN, d, Family.alone(looks), DESIGN.alpha)
            accepted.append(all(abs(look.statistics[0]) <= look.value for look in map(boundary.at, range(looks))))
            covered.append([_covers(d[:n, 0]) for n in DESIGN.looks])
        shares = (np.all(covered, axis=1).mean(), np.array(covered)[:, -1].mean(), np.mean(accepted))
        yield f"| {noise.__name__.replace('_', ' ')} | {' | '.join(f'{share:.3f}' for share in shares)} |"


def _covers(differences: Floats) -> bool:
    """Return whether the repeated interval at a look contains the true difference, 0."""
    interval = ShiftedTest(DESIGN, differences, np.ones(len(differences))).interval(DESIGN.alpha)
    return interval is None or interval[0] <= 0 <= interval[1]


def bias() -> Iterator[str]:
    """Yield the means of comparisons that stopped early."""
    studies = 600
    yield "\n## Bias of the mean\n"
    yield f"{studies} studies of one arm, normal differences.\n"
    yield "| effect (sd) | mean when stopped early | mean of all 32 seeds |"
    yield "|---|---|---|"
    for effect in (0.5, 1.0, 2.0):
        rng, stopped, full = np.random.default_rng(4), [], []
        for _ in range(studies):
            d = rng.normal(effect, 1, 32)
            sample = PairedSample("", "", tuple(range(32)), d, (), (), 0, lower_is_better=True)
            (result,) = analyze(DESIGN, [sample], range(32), intervals=False).results
            full.append(d.mean())
            if result.mean_biased and result.mean is not None:
                stopped.append(result.mean)
        yield f"| {effect} | {np.mean(stopped):.2f} | {np.mean(full):.2f} |"


def main() -> None:
    parts = {part.__name__: part for part in (errors, powers, coverage, bias)}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("numpy", "scipy").items())
    lines = [f"# Sequential studies, {today}\n", f"{hardware}. Made by `python -m benchmarks.sequential`.\n"]
    for name in sys.argv[1:] or parts:
        for line in parts[name]():
            lines.append(line)
            print(line, flush=True)
    (RESULTS / f"{today}-sequential.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
