"""Scores of a study's runs on each of its datasets, and the arms and datasets that have too few results."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.errors import SpecRefused
from service.statistics.normalization import Method, Scale, scale_of, with_divergence
from service.statistics.pairing import Measurement, combined_state
from service.statistics.sign_flip import Floats
from service.store.rows import Row
from service.studies.datasets import Placed

MAX_SCORE = 1e100
"""Squares and sums of scores stay finite."""
Cells = dict[tuple[str, str], dict[int, list[Measurement]]]
"""Measurements by (arm, dataset) and replicate."""


@dataclass(frozen=True)
class Scaling:
    """How the values of a metric become scores."""

    method: Method
    ranges: Mapping[str, tuple[float, float]]
    """The values with the scores 0 and 1, by dataset; instead of ``method``."""
    lower_is_better: bool

    def scale(self, dataset: str, guessing: float | None, values: Sequence[float]) -> Scale | None:
        """Return the scale of a dataset on which runs have these values; None if guessing does not allow one."""
        if dataset in self.ranges:
            return Scale("range", *self.ranges[dataset])
        return scale_of(self.method, lower_is_better=self.lower_is_better, guessing=guessing, values=values)


@dataclass(frozen=True, kw_only=True)
class DatasetScores:
    """A dataset on which every arm has replicates: scores (arms, replicates), and the mean of each arm's values."""

    name: str
    scale: Scale
    guessing: float | None
    replicates: Sequence[int]
    missing: int
    """Replicates that some arm lacks."""
    scores: Floats
    means: Sequence[float | None]
    """By arm: the mean of the metric; None if every run diverged."""
    diverged: Sequence[int]


@dataclass(frozen=True)
class Excluded:
    """An arm or a dataset that does not count, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class StudyScores:
    """The scores of a study: arms in its order, and the datasets on which all of them have results."""

    cells: Cells
    arms: Sequence[str]
    datasets: Sequence[DatasetScores]
    excluded_arms: Sequence[Excluded]
    excluded_datasets: Sequence[Excluded]

    @property
    def means(self) -> Floats:
        """The mean scores (datasets, arms)."""
        return np.array([dataset.scores.mean(axis=1) for dataset in self.datasets])


def study_scores(
    measurements: Iterable[Measurement],
    placed: Mapping[str, Placed],
    guessing: Mapping[str, float],
    scaling: Scaling,
) -> StudyScores:
    """Return the scores of measured runs; ``guessing`` is the level of each dataset.

    Raises:
        SpecRefused: A range names no dataset of the study, or does not go from a worse to a better value.
    """
    cells = _measured_cells(measurements, placed)
    arms, excluded_arms = _included_arms(cells, placed)
    datasets, excluded_datasets = _included_datasets(cells, arms, placed, guessing, scaling)
    return StudyScores(
        cells=cells,
        arms=arms,
        datasets=datasets,
        excluded_arms=excluded_arms,
        excluded_datasets=excluded_datasets,
    )


def _measured_cells(measurements: Iterable[Measurement], placed: Mapping[str, Placed]) -> Cells:
    """Return measurements by arm and dataset, and replicate."""
    cells: Cells = {}
    for one in measurements:
        arm, dataset = placed[one.group]
        cells.setdefault((arm, dataset or ""), {}).setdefault(one.seed, []).append(one)
    return cells


def guessing_levels(
    runs: Sequence[Row], of_runs: Mapping[str, float], placed: Mapping[str, Placed]
) -> Mapping[str, float]:
    """Return the mean over all runs of each dataset that recorded a baseline."""
    by_dataset: dict[str, list[float]] = {}
    for run in runs:
        if run.id in of_runs:
            by_dataset.setdefault(placed[run.arm].dataset or "", []).append(of_runs[run.id])
    return {dataset: statistics.fmean(values) for dataset, values in by_dataset.items()}


def _scored(replicates: Mapping[int, Sequence[Measurement]]) -> dict[int, float]:
    """Return the value of every replicate with results: the mean of its cells, or NaN if one of them diverged."""
    values = {}
    for replicate, cells in replicates.items():
        state = combined_state(cells)
        if state in ("measured", "diverged"):
            values[replicate] = float(np.mean([one.value for one in cells])) if state == "measured" else np.nan
    return values


def _included_arms(cells: Cells, placed: Mapping[str, Placed]) -> tuple[list[str], list[Excluded]]:
    """Return the arms with results on some dataset, in the study's order, and those without."""
    names = dict.fromkeys(one.arm for one in placed.values())
    with_results = {arm for (arm, _), replicates in cells.items() if _scored(replicates)}
    excluded = [Excluded(arm, "It has no results on any dataset.") for arm in names if arm not in with_results]
    return [arm for arm in names if arm in with_results], excluded


def _included_datasets(
    cells: Cells,
    arms: Sequence[str],
    placed: Mapping[str, Placed],
    guessing: Mapping[str, float],
    scaling: Scaling,
) -> tuple[list[DatasetScores], list[Excluded]]:
    """Return the scores of datasets on which every arm has a replicate in common, and the other datasets.

    Raises:
        SpecRefused: A range names no dataset of the study, or does not go from a worse to a better value.
    """
    names = list(dict.fromkeys(one.dataset or "" for one in placed.values()))
    _check_ranges(scaling, names)
    included: list[DatasetScores] = []
    excluded: list[Excluded] = []
    for name in names if arms else ():
        values = [_scored(cells.get((arm, name), {})) for arm in arms]
        scores = _dataset_scores(name, arms, values, guessing.get(name), scaling)
        if isinstance(scores, Excluded):
            excluded.append(scores)
        else:
            included.append(scores)
    return included, excluded


def _check_ranges(scaling: Scaling, names: Sequence[str]) -> None:
    for name, (zero, one) in scaling.ranges.items():
        if name not in names:
            message = f"Unknown dataset {name!r}. The datasets are {', '.join(map(repr, names))}."
            raise SpecRefused.at("range", "no_such_dataset", message, allowed=names)
        if (one < zero) != scaling.lower_is_better or one == zero:
            message = f"The range of {name!r} must go from a worse to a better value, not from {zero:g} to {one:g}."
            raise SpecRefused.at("range", "empty_range", message)


def _dataset_scores(
    name: str,
    arms: Sequence[str],
    values: Sequence[Mapping[int, float]],
    guessing: float | None,
    scaling: Scaling,
) -> DatasetScores | Excluded:
    """Return the scores of a dataset from each arm's values by replicate, or why it does not count."""
    lacking = [arm for arm, of_arm in zip(arms, values, strict=True) if not of_arm]
    if lacking:
        return Excluded(name, f"No results of {', '.join(map(repr, lacking))}.")
    every = sorted(set.union(*(set(one) for one in values)))
    replicates = [replicate for replicate in every if all(replicate in one for one in values)]
    table = np.array([[of_arm[replicate] for replicate in replicates] for of_arm in values])
    if not np.isfinite(table).any():
        return Excluded(name, "Every run diverged." if replicates else "No replicate has results in all arms.")
    finite = table[np.isfinite(table)]
    scale = scaling.scale(name, guessing, finite.tolist())
    if scale is None:
        reason = "No run recorded what guessing gets" if guessing is None else "No run could be better than guessing"
        return Excluded(name, f"{reason}: set its range, as range={name}:WORST:BEST.")
    with np.errstate(over="ignore"):
        scores = (table - scale.zero) / (scale.one - scale.zero)
    if np.nanmax(np.abs(scores)) > MAX_SCORE:
        reason = f"Scores reach {np.nanmax(np.abs(scores)):.2g}, too large for statistics"
        return Excluded(name, f"{reason}: set its range, as range={name}:WORST:BEST.")
    return DatasetScores(
        name=name,
        scale=scale,
        guessing=guessing,
        replicates=replicates,
        missing=len(every) - len(replicates),
        scores=with_divergence(scores, 0.0 if guessing is None else scale.score(guessing)),
        means=[float(row[np.isfinite(row)].mean()) if np.isfinite(row).any() else None for row in table],
        diverged=[int(np.isnan(row).sum()) for row in table],
    )


def score_measurements(scores: StudyScores, expected: Sequence[int]) -> list[Measurement]:
    """Return every arm's scores with the dataset as the cell of a replicate; absent runs are missing.

    A replicate counts with all datasets only, since the levels of datasets differ.
    """
    measurements = []
    for arm, dataset in itertools.product(scores.arms, scores.datasets):
        by_replicate = scores.cells[arm, dataset.name]
        values = _scored(by_replicate)
        for replicate in sorted({*expected, *by_replicate}):
            runs = by_replicate.get(replicate)
            state = "missing" if runs is None else combined_state(runs)
            score = dataset.scale.score(values.get(replicate, np.nan))
            measurements.append(Measurement(arm, replicate, dataset.name, state, score))
    return measurements
