"""Comparisons over several datasets as tables and sentences."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from fitwell.across import AcrossDatasets, Estimate
from fitwell.terminal.tables import CORRECTIONS

SCALES = {
    "guessing": "0 is guessing, 1 the best possible value",
    "best": "0 is guessing, 1 the best run",
    "none": "the metric itself",
    "range": "within the given range",
}


def aggregates_table(across: AcrossDatasets) -> Table:
    """Return the aggregates of each arm with their intervals, and its mean rank."""
    scales = dict.fromkeys(SCALES.get(one.normalize, one.normalize) for one in across.datasets)
    title = f"scores of {across.at} {across.metric} on {len(across.datasets)} datasets ({'; '.join(scales)})"
    table = Table("arm", "IQM", "mean", "median", "optimality gap", "mean rank", title=title)
    for arm in across.arms:
        estimates = (arm.iqm, arm.mean, arm.median, arm.optimality_gap)
        rank = "-" if arm.mean_rank is None else f"{arm.mean_rank:.2f}"
        table.add_row(escape(arm.arm), *map(_estimate, estimates), rank)
    return table


def datasets_table(across: AcrossDatasets) -> Table:
    """Return the mean of the metric of each arm on each dataset."""
    table = Table("dataset", "n", *(escape(arm.arm) for arm in across.arms), title=f"mean {across.at} {across.metric}")
    for dataset in across.datasets:
        means = ("-" if arm.mean is None else f"{arm.mean:.4f}" for arm in dataset.arms)
        table.add_row(escape(dataset.name), str(dataset.n), *means)
    return table


def across_pairs_table(across: AcrossDatasets) -> Table:
    """Return both verdicts on each pair."""
    p = f"p ({CORRECTIONS.get(across.correction, across.correction)})"
    headings = ("P(improvement)", "difference", p, "on these datasets", "wins", p, "over datasets")
    table = Table("arm", "against", *headings)
    for pair in across.pairs:
        here, over = pair.on_these_datasets, pair.over_datasets
        difference = "-" if here.mean_difference is None else f"{here.mean_difference:+.4f}"
        table.add_row(
            escape(pair.arm),
            escape(pair.baseline),
            _estimate(pair.probability_of_improvement),
            difference,
            _p(here.p_adjusted),
            here.verdict.replace("_", " "),
            f"{over.wins} of {over.n}",
            _p(over.p_adjusted),
            over.verdict.replace("_", " "),
        )
    return table


def across_notes(across: AcrossDatasets) -> str:
    """Return sentences on what the verdicts hold for, and on what does not count."""
    if across.not_yet is not None:
        sentences = [f"No verdict yet. {across.not_yet.message}"]
    else:
        varied = " and ".join(across.generalizes_over)
        sentences = [f"'On these datasets' holds for other values of the {varied}, 'over datasets' for other datasets."]
    if len(across.datasets) < across.min_datasets_possible:
        sentences.append(
            f"'Over datasets' takes at least {across.min_datasets_possible} datasets, and there are "
            f"{len(across.datasets)}."
        )
    if across.ranks is not None and across.ranks.groups:
        groups = "; ".join(", ".join(group) for group in across.ranks.groups)
        sentences.append(f"No significant difference over datasets: {groups}.")
    sentences += [f"Left out: {one.name}. {one.reason}" for one in (*across.excluded_arms, *across.excluded_datasets)]
    sentences += ["Optimistic: each run's epoch was chosen on the rows that judge it."] * across.optimistic
    sentences += ["Exploratory: this differs from the study's own question."] * across.exploratory
    sentences.append(f"Look {across.looks}: α = {across.alpha:.3g} for each of the two verdicts.")
    sentences.append("Intervals describe the spread over replicates, and decide nothing.")
    return " ".join(sentences)


def _estimate(one: Estimate) -> str:
    return f"{one.value:.3f}" + ("" if one.ci is None else f" ({one.ci[0]:.3f}–{one.ci[1]:.3f})")


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
