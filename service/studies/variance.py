"""Sources of variation of a study's replicates: their shares of the variance, and a p that knows splits overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from service.statistics.comparison import Pair
from service.statistics.pairing import Measurement
from service.statistics.resampling import VarianceComponents, nadeau_bengio_p, variance_components
from service.statistics.sign_flip import sign_flip_tests
from service.store.rows import Row
from service.studies import queries as studies
from service.studies.metrics import rows_of
from service.studies.replicates import generalizes_over
from worker.spec.run import RunSpec

Key = tuple[str, ...]
"""A group, or a pair of groups."""
Table = Mapping[int, Mapping[str, float]]
"""Measured values by split and cell (the seed)."""


def sources_of_variation(connection: sa.Connection, study: Row) -> Sequence[str]:
    """Return the sources of variation that the study's replicates differ in: ``seed``, ``split``, ``data``."""
    own = generalizes_over(study.request)
    return [*own, "data"] if "seed" in own and studies.data_vary(connection, study.id, study.baseline) else own


def components_of(measurements: Iterable[Measurement], pairs: Iterable[Pair]) -> Mapping[Key, VarianceComponents]:
    """Return the variance components of every group's values and of every pair's differences, where they exist.

    ``measurements`` are of a crossed design; splits that are not measured with every seed are left out.
    """
    tables = _tables(measurements)
    differences: dict[Key, Table] = {
        (pair.group, pair.baseline): _differences(tables.get(pair.group, {}), tables.get(pair.baseline, {}))
        for pair in pairs
    }
    keyed: dict[Key, Table] = {**{(group,): table for group, table in tables.items()}, **differences}
    components = {key: _components(table) for key, table in keyed.items()}
    return {key: one for key, one in components.items() if one is not None and one.total > 0}


@dataclass(frozen=True)
class SplitTest:
    """A pair on one split alone."""

    split: int
    favorable: bool
    """Whether the mean difference is to the better side."""
    p: float
    """Of the sign-flip test over the seeds; two-sided, not corrected for the number of splits."""


def tests_of_splits(
    measurements: Iterable[Measurement], pairs: Iterable[Pair], lower: bool
) -> Mapping[Key, Sequence[SplitTest]]:
    """Return the tests of every pair on each split alone; splits without a value for every seed are left out."""
    tables = _tables(measurements)
    results: dict[Key, Sequence[SplitTest]] = {}
    for pair in pairs:
        table = _differences(tables.get(pair.group, {}), tables.get(pair.baseline, {}))
        rows = {split: np.array(list(cells.values())) for split, cells in table.items()}
        whole = {split: row for split, row in rows.items() if len(row) and np.isfinite(row).all()}
        tests = sign_flip_tests(list(whole.values()), 1.0)
        results[pair.group, pair.baseline] = [
            SplitTest(split, bool(row.mean() < 0) == lower, test.p)
            for (split, row), test in zip(whole.items(), tests, strict=True)
        ]
    return results


def _tables(measurements: Iterable[Measurement]) -> dict[str, dict[int, dict[str, float]]]:
    tables: dict[str, dict[int, dict[str, float]]] = {}
    for one in measurements:
        tables.setdefault(one.group, {}).setdefault(one.seed, {})[one.cell] = one.value
    return tables


def _differences(ours: Table, theirs: Table) -> Table:
    return {
        split: {cell: value - theirs[split].get(cell, np.nan) for cell, value in cells.items()}
        for split, cells in ours.items()
        if split in theirs
    }


def _components(table: Table) -> VarianceComponents | None:
    """Return the components of the splits that have a value for every seed."""
    seeds = sorted({cell for cells in table.values() for cell in cells})
    rows = [[cells.get(cell, np.nan) for cell in seeds] for cells in table.values()]
    values = np.array(rows, dtype=float).reshape(len(rows), len(seeds))
    return variance_components(values[np.isfinite(values).all(axis=1)])


def corrected_p_values(
    connection: sa.Connection, study: Row, metric: str, pairs: Iterable[Pair]
) -> Mapping[Key, float]:
    """Return Nadeau and Bengio's p of every pair, if the splits choose the rows that judge: for metrics ``val.*``.

    The ratio of judging rows to training rows is the largest of any arm. Test rows are the same in every split, so the
    test does not apply to them; nor does it to pairs with diverged runs. Pairs without a p, because no look is due or
    the study is sequential, have none of these either.
    """
    if "split" not in generalizes_over(study.request) or rows_of(metric) != "val":
        return {}
    datasets = [RunSpec.of(spec).dataset for spec in studies.spec_of_each_arm(connection, study.id).values()]
    ratio = max((one.validation_rows / one.training_rows for one in datasets), default=0.0)
    p_values = {
        (pair.group, pair.baseline): nadeau_bengio_p(np.array(pair.differences), ratio)
        for pair in pairs
        if pair.p is not None and not pair.diverged + pair.baseline_diverged
    }
    return {key: p for key, p in p_values.items() if p is not None}
