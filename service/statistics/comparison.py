"""Arms against each other, pair by pair over equal seeds; the answer may be "undecided"."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.statistics.family import holm, min_seeds, seeds_for_power, sign_test_p
from service.statistics.sign_flip import EXACT_UP_TO, Floats, sign_flip_tests
from service.statistics.sign_flip import Tested as SignFlip

State = Literal["measured", "diverged", "unfinished", "missing"]
Verdict = Literal["better", "worse", "equivalent", "undecided"]
BOOTSTRAP_FROM = 20
"""Pairs from which a bootstrap interval is given; with fewer it is too narrow."""
RESAMPLES = 9_999


@dataclass(frozen=True)
class Measured:
    """One run's value: of which group it is, at which seed, and in which cell of what else varies (a fold)."""

    group: str
    seed: int
    cell: str
    state: State
    value: float = math.nan


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
    """Standard deviation of the cells within a seed, pooled over the seeds; None where seeds have but one."""


@dataclass(frozen=True)
class Pair:
    """A group against another. Differences are the group's value less the other's."""

    group: str
    baseline: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float | None
    std: float | None
    interval: tuple[float, float] | None
    bootstrap: tuple[float, float] | None
    test: Literal["sign_flip_exact", "sign_flip_random", "sign", "none"]
    wins: int
    losses: int
    diverged: int
    """Seeds at which the group diverged and the other did not."""
    baseline_diverged: int
    missing: int
    """Seeds at which one of the two has no value and will have none."""
    p: float | None
    p_adjusted: float | None
    p_equivalence: float | None
    verdict: Verdict
    seeds_for_power: int | None


@dataclass(frozen=True)
class Comparison:
    """All groups, and the pairs of the family."""

    alpha: float
    min_seeds: int
    groups: tuple[Summary, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True)
class _Paired:
    """The pairs of two groups, before anything is tested."""

    group: str
    baseline: str
    seeds: tuple[int, ...]
    differences: Floats
    only_group_diverged: int
    only_baseline_diverged: int
    missing: int
    lower_is_better: bool

    @property
    def wins(self) -> int:
        favourable = self.differences < 0 if self.lower_is_better else self.differences > 0
        return int(favourable.sum()) + self.only_baseline_diverged

    @property
    def losses(self) -> int:
        return int((self.differences != 0).sum()) + self.only_baseline_diverged + self.only_group_diverged - self.wins

    @property
    def some_diverged(self) -> bool:
        return self.only_group_diverged + self.only_baseline_diverged > 0

    def p(self, flips: SignFlip | None) -> float | None:
        """Of the sign test where a run diverged, else of the sign-flip test; one seed has none."""
        if self.some_diverged:
            return sign_test_p(self.wins, self.losses) if self.wins + self.losses > 1 else None
        return None if flips is None or len(self.differences) < 2 else flips.p

    def p_equivalence(self, flips: SignFlip | None) -> float | None:
        """Of two one-sided tests; None where a run diverged or only one seed is there."""
        return None if flips is None or self.some_diverged or len(self.differences) < 2 else flips.p_equivalence

    @property
    def test(self) -> Literal["sign_flip_exact", "sign_flip_random", "sign", "none"]:
        if self.some_diverged:
            return "sign"
        if len(self.differences) < 2:
            return "none"
        return "sign_flip_exact" if len(self.differences) <= EXACT_UP_TO else "sign_flip_random"

    @property
    def favourable(self) -> bool:
        """Which way the tested effect points."""
        if self.some_diverged:
            return self.wins > self.losses
        return bool(self.differences.mean() < 0) == self.lower_is_better


def compared(
    measured: Iterable[Measured],
    *,
    groups: Sequence[str],
    baseline: str | None,
    lower_is_better: bool,
    alpha: float,
    seeds: Collection[int] = (),
    min_effect: float | None = None,
    bootstrap: bool = False,
) -> Comparison:
    """Every group's summary, and the groups against ``baseline`` or, without one, all against all.

    Means are over seeds, of which all cells are measured. A run that diverged makes its pair a loss in a sign test;
    means of differences are over the pairs in which both were measured. Every group was to have ``seeds``: of
    which it has no run, that is missing.
    """
    table: dict[str, dict[int, dict[str, Measured]]] = {group: {} for group in groups}
    for one in measured:
        table[one.group].setdefault(one.seed, {})[one.cell] = one
    if baseline is None:
        wanted = [(b, a) for a, b in itertools.combinations(groups, 2)]
    else:
        wanted = [(group, baseline) for group in groups if group != baseline]
    paired = [_paired(group, table[group], other, table[other], seeds, lower_is_better) for group, other in wanted]
    return Comparison(
        alpha=alpha,
        min_seeds=min_seeds(alpha, len(paired)),
        groups=tuple(_summaries(table, seeds, alpha)),
        pairs=tuple(_judged(paired, alpha, min_effect, bootstrap=bootstrap)),
    )


def _tests(vectors: Sequence[Floats], alpha: float, margin: float | None = None) -> list[SignFlip | None]:
    """The sign-flip test of every vector that has a value."""
    done = iter(sign_flip_tests([vector for vector in vectors if len(vector)], alpha, margin))
    return [next(done) if len(vector) else None for vector in vectors]


Seeds = Mapping[int, Mapping[str, Measured]]


def _state(cells: Iterable[Measured]) -> State:
    """Of a seed as a whole: the worst of its cells'."""
    states = {cell.state for cell in cells}
    order: tuple[State, ...] = ("diverged", "missing", "unfinished", "measured")
    return next(state for state in order if state in states)


def _summaries(table: Mapping[str, Seeds], wanted: Collection[int], alpha: float) -> list[Summary]:
    """Every group over the seeds of which all cells are measured."""
    states = {group: {s: _state(cells.values()) for s, cells in seeds.items()} for group, seeds in table.items()}
    whole: dict[str, list[Floats]] = {}
    for group, seeds in table.items():
        measured = (cells.values() for s, cells in seeds.items() if states[group][s] == "measured")
        whole[group] = [np.array([cell.value for cell in cells]) for cells in measured]
    values = [np.array([cells.mean() for cells in seeds]) for seeds in whole.values()]
    summaries = []
    for group, of_group, flips in zip(table, values, _tests(values, alpha), strict=True):
        counts = {state: list(states[group].values()).count(state) for state in ("diverged", "unfinished", "missing")}
        counts["missing"] += len(set(wanted) - states[group].keys())
        summaries.append(
            Summary(
                id=group,
                n=len(of_group),
                mean=float(of_group.mean()) if len(of_group) else None,
                std=_std(of_group),
                interval=flips.interval if flips else None,
                std_within=_pooled(whole[group]),
                **counts,
            )
        )
    return summaries


def _std(values: Floats) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _pooled(samples: Sequence[Floats]) -> float | None:
    """Standard deviation within samples, over those that have one."""
    several = [sample for sample in samples if len(sample) > 1]
    squares, freedom = sum(sample.var() * len(sample) for sample in several), sum(len(s) - 1 for s in several)
    return float(np.sqrt(squares / freedom)) if several else None


def _paired(
    group: str, ours: Seeds, baseline: str, theirs: Seeds, wanted: Collection[int], lower_is_better: bool
) -> _Paired:
    """Pair the seeds that both have, on the cells that both have."""
    seeds, differences, lost, won, missing = [], [], 0, 0, len(set(wanted) - (ours.keys() & theirs.keys()))
    for seed in sorted(ours.keys() & theirs.keys()):
        cells = sorted(ours[seed].keys() & theirs[seed].keys())
        if not cells:
            continue
        mine, other = ([side[seed][cell] for cell in cells] for side in (ours, theirs))
        states = (_state(mine), _state(other))
        if states == ("measured", "measured"):
            seeds.append(seed)
            differences.append(float(np.mean([a.value - b.value for a, b in zip(mine, other, strict=True)])))
        elif states == ("diverged", "measured"):
            lost += 1
        elif states == ("measured", "diverged"):
            won += 1
        elif "missing" in states:
            missing += 1
    return _Paired(
        group, baseline, tuple(seeds), np.array(differences, dtype=float), lost, won, missing, lower_is_better
    )


def _judged(paired: Sequence[_Paired], alpha: float, min_effect: float | None, *, bootstrap: bool) -> list[Pair]:
    """The verdicts, with p-values corrected within the family."""
    tests = _tests([one.differences for one in paired], alpha, min_effect)
    raw = [one.p(flips) for one, flips in zip(paired, tests, strict=True)]
    adjusted = _corrected(raw)
    same = _corrected([one.p_equivalence(flips) for one, flips in zip(paired, tests, strict=True)])
    pairs = []
    for one, flips, p, p_adjusted, p_equivalence in zip(paired, tests, raw, adjusted, same, strict=True):
        n, std = len(one.differences), _std(one.differences)
        verdict: Verdict = "undecided"
        if p_equivalence is not None and p_equivalence <= alpha:
            verdict = "equivalent"
        elif p_adjusted is not None and p_adjusted <= alpha:
            verdict = "better" if one.favourable else "worse"
        needed = seeds_for_power(std, min_effect, alpha, len(paired)) if min_effect and std is not None else None
        pairs.append(
            Pair(
                group=one.group,
                baseline=one.baseline,
                seeds=one.seeds,
                differences=tuple(one.differences.tolist()),
                mean=float(one.differences.mean()) if n else None,
                std=std,
                interval=flips.interval if flips else None,
                bootstrap=_bootstrap(one.differences, alpha) if bootstrap and n >= BOOTSTRAP_FROM else None,
                test=one.test,
                wins=one.wins,
                losses=one.losses,
                diverged=one.only_group_diverged,
                baseline_diverged=one.only_baseline_diverged,
                missing=one.missing,
                p=p,
                p_adjusted=p_adjusted,
                p_equivalence=p_equivalence,
                verdict=verdict,
                seeds_for_power=needed,
            )
        )
    return pairs


def _corrected(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction; a comparison that has no p still counts as one that was asked for."""
    corrected = holm([1.0 if p is None else p for p in p_values])
    return [None if p is None else c for p, c in zip(p_values, corrected, strict=True)]


def _bootstrap(differences: Floats, alpha: float) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval of the mean."""
    from scipy import stats  # noqa: PLC0415 - slow to import, and seldom asked for

    found = stats.bootstrap(
        (differences,), np.mean, confidence_level=1 - alpha, method="BCa", n_resamples=RESAMPLES, rng=0
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
