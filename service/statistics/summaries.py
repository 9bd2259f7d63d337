"""Groups of runs, each summarized over its seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.statistics.pairing import Measurement, Seeds, combined_state
from service.statistics.sign_flip import Floats, SignFlipResult, sign_flip_tests


@dataclass(frozen=True)
class Summary:
    """One group over its seeds."""

    id: str
    n: int
    mean: float | None
    std: float | None
    interval: tuple[float, float] | None
    diverged: int
    unfinished: int
    missing: int
    std_within: float | None
    """Standard deviation of the cells within a seed, pooled over the seeds; None if every seed has one cell."""
    values: Mapping[int, float] = field(default_factory=dict)
    """The mean over its cells of every complete seed, by seed."""


def summarize(
    measurements: Iterable[Measurement], *, groups: Sequence[str], alpha: float, seeds: Collection[int] = ()
) -> tuple[Summary, ...]:
    """Summarize every group over the seeds all of whose cells are measured, without comparing any."""
    table = tabulated(measurements, groups)
    cells = {group: complete_cells(by_seed) for group, by_seed in table.items()}
    means = [np.array([values.mean() for values in own]) for own in cells.values()]
    return tuple(summaries_of(table, seeds, cells, means, flip_tests(means, alpha)))


def values_by_seed(measurements: Iterable[Measurement], groups: Sequence[str]) -> dict[str, dict[int, float]]:
    """Return the mean over its cells of every seed all of whose cells are measured, by group."""
    return {
        group: {
            seed: float(np.mean([cell.value for cell in cells.values()]))
            for seed, cells in by_seed.items()
            if combined_state(cells.values()) == "measured"
        }
        for group, by_seed in tabulated(measurements, groups).items()
    }


def flip_tests(vectors: Sequence[Floats], alpha: float, margin: float | None = None) -> list[SignFlipResult | None]:
    """Run the sign-flip test on every vector; None for empty ones."""
    results = iter(sign_flip_tests([vector for vector in vectors if len(vector)], alpha, margin))
    return [next(results) if len(vector) else None for vector in vectors]


def complete_cells(seeds: Seeds) -> list[Floats]:
    """Return the values of the cells of every seed all of whose cells are measured."""
    measured = (cells.values() for cells in seeds.values() if combined_state(cells.values()) == "measured")
    return [np.array([cell.value for cell in cells]) for cells in measured]


def summaries_of(
    table: Mapping[str, Seeds],
    expected: Collection[int],
    complete: Mapping[str, Sequence[Floats]],
    values: Sequence[Floats],
    tests: Sequence[SignFlipResult | None],
) -> list[Summary]:
    """Summarize every group over its ``complete`` seeds, whose means are ``values``."""
    summaries = []
    for (group, seeds), means, flips in zip(table.items(), values, tests, strict=True):
        by_seed = {seed: combined_state(cells.values()) for seed, cells in seeds.items()}
        states = list(by_seed.values())
        counts = {state: states.count(state) for state in ("diverged", "unfinished", "missing")}
        measured = [seed for seed, state in by_seed.items() if state == "measured"]
        counts["missing"] += len(set(expected) - seeds.keys())
        summaries.append(
            Summary(
                id=group,
                n=len(means),
                mean=float(means.mean()) if len(means) else None,
                std=std_of(means),
                interval=flips.interval if flips else None,
                std_within=_pooled_std(complete[group]),
                values=dict(zip(measured, means.tolist(), strict=True)),
                **counts,
            )
        )
    return summaries


def std_of(values: Floats) -> float | None:
    """Return the standard deviation of a sample; None of fewer than two values."""
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _pooled_std(samples: Sequence[Floats]) -> float | None:
    """Return the standard deviation within samples, pooled over those with more than one value."""
    several = [sample for sample in samples if len(sample) > 1]
    squares, freedom = sum(sample.var() * len(sample) for sample in several), sum(len(s) - 1 for s in several)
    return float(np.sqrt(squares / freedom)) if several else None


def tabulated(
    measurements: Iterable[Measurement], groups: Sequence[str]
) -> dict[str, dict[int, dict[str, Measurement]]]:
    """Return the measurements by group, seed and cell; every group has an entry."""
    table: dict[str, dict[int, dict[str, Measurement]]] = {group: {} for group in groups}
    for one in measurements:
        table[one.group].setdefault(one.seed, {})[one.cell] = one
    return table
