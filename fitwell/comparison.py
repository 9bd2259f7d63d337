"""Comparisons and choices as the client sees them: which arm is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, TypedDict

from fitwell import dataframes
from fitwell.sync_async import View

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class Question(TypedDict, total=False):
    """What is asked of a study; what is left out is as the study was made for."""

    metric: str | None
    at: str | None
    baseline: str | None
    pairs: str | None
    by: Sequence[str] | None
    min_effect: float | None
    interval: str | None
    curves: Sequence[str] | None


class Group(View):
    """An arm over its seeds."""

    id: str
    n: int
    mean: float | None
    std: float | None
    ci: tuple[float, float] | None
    diverged: int
    unfinished: int = 0
    missing: int = 0


class Pair(View):
    """An arm against another, seed by seed."""

    arm: str
    baseline: str
    n: int
    mean_difference: float | None
    std: float | None
    ci: tuple[float, float] | None
    missing: int = 0
    p: float | None
    p_adjusted: float | None
    verdict: str
    seeds_needed: int | None


COLUMNS = ("mean", "std", "n", "diverged", "mean_difference", "ci_low", "ci_high", "p", "p_adjusted", "verdict")


class Comparison(View):
    """Which arm is better, and how sure that is; a verdict may be ``undecided``. In a notebook it is a table."""

    study_id: str
    metric: str
    at: str
    direction: str
    exploratory: bool
    complete: bool
    baseline: str | None
    alpha: float
    looks: int
    min_seeds_possible: int
    arms: list[Group]
    pairs: list[Pair]
    curves: dict[str, list[dict[str, Any]]]

    def against(self, baseline: str) -> dict[str, Pair]:
        """By arm, the pair that compares it with ``baseline``."""
        return {pair.arm: pair for pair in self.pairs if pair.baseline == baseline}

    def columns(self) -> dict[str, list[Any]]:
        """A row for each arm: its figures, and how it stands against the baseline, if there is one."""
        pairs = self.against(self.baseline or "")
        rows = [_row(group, pairs.get(group.id)) for group in self.arms]
        return {name: [row[name] for row in rows] for name in ("arm", *COLUMNS)}

    def to_pandas(self) -> pd.DataFrame:
        """A row for each arm, indexed by it.

        Raises:
            NotInstalled: there is no pandas.
        """
        return dataframes.pandas(self.columns(), "arm")

    def to_polars(self) -> pl.DataFrame:
        """A row for each arm.

        Raises:
            NotInstalled: there is no polars.
        """
        return dataframes.polars(self.columns())

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in ("arm", *COLUMNS))
        columns = self.columns()
        rows = "".join(
            f"<tr><td>{escape(arm)}</td>" + "".join(f"<td>{_cell(columns[c][i])}</td>" for c in COLUMNS) + "</tr>"
            for i, arm in enumerate(columns["arm"])
        )
        told = f"{self.at} {self.metric}, {self.direction.replace('_', ' ')}, against {self.baseline or 'each other'}"
        told += "; exploratory" * self.exploratory + "; not every run has ended" * (not self.complete)
        return f"<table><caption>{escape(told)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(group: Group, pair: Pair | None) -> dict[str, Any]:
    figures: dict[str, Any] = dict.fromkeys(COLUMNS)
    figures |= {"arm": group.id, "mean": group.mean, "std": group.std, "n": group.n, "diverged": group.diverged}
    if pair is not None:
        figures |= {name: getattr(pair, name) for name in ("mean_difference", "p", "p_adjusted", "verdict")}
        figures |= dict(zip(("ci_low", "ci_high"), pair.ci or (None, None), strict=True))
    return figures


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))


class Candidate(View):
    """An arm, and how good it is over folds (or seeds); without figures where it cannot be chosen."""

    arm: str
    mean: float | None
    std: float | None
    standard_error: float | None
    within_one_standard_error: bool
    diverged: int
    unfinished: int


class Choice(View):
    """The arm to take, and its spec: ``client.runs.create(**choice.chosen_spec)``."""

    study_id: str
    rule: str
    metric: str
    at: str
    optimistic: bool
    complete: bool
    folds: int | None
    best: str
    chosen: str
    threshold: float | None
    within_one_standard_error: int
    explanation: str
    arms: list[Candidate]
    chosen_spec: dict[str, Any]
