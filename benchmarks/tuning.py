"""Error of tuned comparisons: search, choice, and confirmation on other seeds; writes a dated result.

    python -m benchmarks.tuning [errors] [methods] [gaps]

Studies are simulated; verdicts are those of the service's code. All parts take about four minutes on a quiet core.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine import RESULTS, machine
from benchmarks.sequential import Noise, heavy_tails, normal, ties
from service.statistics.design import Design
from service.statistics.pairing import PairedSample
from service.statistics.sequential import analyze
from service.statistics.sign_flip import two_sided_p

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DESIGN = Design(32)
STUDIES = 1000
BUDGET, REPLICATES = 16, 8


def skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Return exponential values of mean 0, whatever they are multiplied by."""
    return rng.exponential(size=shape) - 1


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Two methods that are equally good: their trials have the same true scores."""

    noise: Noise = normal
    scales: tuple[float, float] = (1.0, 1.0)
    """By arm: how much scores vary between replicates, besides the part that all runs of a replicate share."""
    budgets: tuple[int, int] = (BUDGET, BUDGET)
    replicates: int = REPLICATES
    diverging: float = 0.0
    """Probability that a run diverges."""
    curvature: float = 0.0
    """True score of a trial at the ends of its space, above that in the middle, in standard deviations."""


@dataclass(frozen=True)
class SearchResult:
    """The choice of a search: true scores and search scores (2, replicates) of the chosen trials."""

    true: Floats
    scores: Floats


def search(rng: np.random.Generator, scenario: Scenario) -> SearchResult:
    """Choose the best trial of each arm by its mean over the replicates; diverged ones cannot be chosen."""
    true, chosen = np.empty(2), np.empty((2, scenario.replicates))
    shared = rng.normal(0, 2, scenario.replicates)  # the split, the same for all runs of a replicate
    places = rng.uniform(-1, 1, max(scenario.budgets))  # the same learning rates in both arms
    for arm, (scale, budget) in enumerate(zip(scenario.scales, scenario.budgets, strict=True)):
        quality = scenario.curvature * places[:budget] ** 2
        scores = quality[:, None] + shared + scale * scenario.noise(rng, (budget, scenario.replicates))
        diverged = (rng.random(scores.shape) < scenario.diverging).any(1)
        best = int(np.where(diverged & ~diverged.all(), np.inf, scores.mean(1)).argmin())
        true[arm], chosen[arm] = quality[best], scores[best]
    return SearchResult(true, chosen)


def confirmed(rng: np.random.Generator, scenario: Scenario, result: SearchResult, design: Design = DESIGN) -> bool:
    """Return whether the confirmation calls the chosen trials different."""
    seeds = design.max_seeds
    noise = scenario.noise(rng, (seeds, 2)) * scenario.scales
    d = result.true[1] - result.true[0] + noise[:, 1] - noise[:, 0]
    diverged: Flags = rng.random((seeds, 2)) < scenario.diverging
    paired = ~diverged.any(1)
    lost, won = (np.flatnonzero(diverged[:, arm] & ~diverged[:, 1 - arm]).tolist() for arm in (1, 0))
    sample = PairedSample(
        "1", "0", tuple(np.flatnonzero(paired).tolist()), d[paired], tuple(lost), tuple(won), 0, lower_is_better=True
    )
    (comparison,) = analyze(design, [sample], range(seeds), intervals=False).results
    return comparison.decision in {"better", "worse"}


def shares(scenario: Scenario, studies: int = STUDIES, design: Design = DESIGN) -> tuple[float, float, float]:
    """Return how often equal methods look different: by the confirmation, and by a test of the scores of the search.

    The third share is how often the second arm has the better score in the search; fair is 0.5.
    """
    rng, counts = np.random.default_rng(5), np.zeros(3)
    for _ in range(studies):
        result = search(rng, scenario)
        d = result.scores[1] - result.scores[0]
        counts += [confirmed(rng, scenario, result, design), two_sided_p(d) <= design.alpha, d.mean() < 0]
    confirmation, own, second = (counts / studies).tolist()
    return confirmation, own, second


def errors() -> Iterator[str]:
    """Yield how often methods look different whose trials are all equally good."""
    yield f"## Trials that are all equally good\n\n{STUDIES} studies each; simulation error 0.007 at 0.05.\n"
    yield "| search | scores | confirmed on other seeds | tested on the search's scores | second arm scores better |"
    yield "|---|---|---|---|---|"
    searches = {
        "equal budgets": Scenario(),
        "second arm three times as noisy": Scenario(scales=(1.0, 3.0)),
        "only the second arm tuned": Scenario(budgets=(1, BUDGET)),
    }
    for name, scenario in searches.items():
        for noise in (normal, heavy_tails, ties, skewed):
            confirmation, own, second = shares(replace(scenario, noise=noise))
            yield f"| {name} | {noise.__name__.replace('_', ' ')} | {confirmation:.3f} | {own:.3f} | {second:.2f} |"
        confirmation, own, second = shares(replace(scenario, diverging=0.03))
        yield f"| {name} | normal, 3 % of runs diverge | {confirmation:.3f} | {own:.3f} | {second:.2f} |"


def methods() -> Iterator[str]:
    """Yield how often equal methods look different because the search chose differently good trials for them."""
    studies = 500
    yield f"\n## Trials of different quality\n\n{studies} studies each; simulation error 0.010 at 0.05.\n"
    yield "| replicates of the search | by the confirmation | mean difference of the chosen trials (sd) |"
    yield "|---|---|---|"
    for replicates in (1, 2, 4, 8, 16):
        scenario = Scenario(replicates=replicates, curvature=4.0)
        rng, different, distances = np.random.default_rng(6), 0, []
        for _ in range(studies):
            result = search(rng, scenario)
            different += confirmed(rng, scenario, result)
            distances.append(abs(result.true[1] - result.true[0]))
        yield f"| {replicates} | {different / studies:.3f} | {np.mean(distances):.2f} |"


def gaps() -> Iterator[str]:
    """Yield how much better the best of several equal trials looks in the search than it is."""
    yield "\n## The gap\n\nMean of the chosen trial in the search below its true mean, in sd of a run; 4000 searches.\n"
    yield "| budget | 1 replicate | 2 | 4 | 8 |"
    yield "|---|---|---|---|---|"
    rng = np.random.default_rng(7)
    for budget in (2, 4, 8, 16, 32):
        scores = [rng.normal(size=(4000, budget, n)).mean(2).min(1).mean() for n in (1, 2, 4, 8)]
        yield f"| {budget} | {' | '.join(f'{-one:.2f}' for one in scores)} |"


def main() -> None:
    parts = {part.__name__: part for part in (errors, methods, gaps)}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    hardware = ", ".join(f"{key} {value}" for key, value in machine("numpy", "scipy").items())
    lines = [f"# Tuned studies, {today}\n", f"{hardware}. Made by `python -m benchmarks.tuning`.\n"]
    for name in sys.argv[1:] or parts:
        for line in parts[name]():
            lines.append(line)
            print(line, flush=True)
    (RESULTS / f"{today}-tuning.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
