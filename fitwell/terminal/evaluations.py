"""Metrics on other data, and the importance of columns, as tables."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from fitwell.importance import ArmImportance, StudyImportance
from fitwell.model_views import Importance, RunEvaluation

BAR_WIDTH = 20
LAST_VALUE = "_last_value"


def evaluation_table(evaluation: RunEvaluation) -> Table:
    """Return each metric beside that of guessing and, in a series, of the last value."""
    data = "rows" if evaluation.dataset is None else f"rows of {evaluation.dataset} ({evaluation.split})"
    title = f"{evaluation.rows:,} {data}, {evaluation.at} model (epoch {evaluation.epoch})"
    kinds = {"guessing": ""}
    if any(name.endswith(LAST_VALUE) for name in evaluation.baseline):
        kinds["last value"] = LAST_VALUE
    table = Table("metric", "model", *kinds, title=title)
    for name, value in evaluation.metrics.items():
        baselines = (evaluation.baseline.get(f"{name}{suffix}") for suffix in kinds.values())
        table.add_row(name, _number(value), *map(_number, baselines))
    return table


def importance_table(importance: Importance) -> Table:
    """Return the importance of each column with a bar; negative ones have none."""
    title = (
        f"{importance.metric} of {importance.rows:,} {importance.split} rows: {_number(importance.value)}; "
        f"how much worse without the column ({importance.repeats} permutations)"
    )
    table = Table("column", "importance", "std", "", title=title)
    largest = max((one.importance for one in importance.columns), default=0.0)
    for one in importance.columns:
        bar = _bar(one.importance, largest)
        table.add_row(escape(one.column), f"{one.importance:+.4g}", _number(one.std), bar)
    return table


def arm_importance_table(importance: StudyImportance, arm: ArmImportance) -> Table:
    """Return the importance of each column over the replicates of an arm, with a bar; negative ones have none."""
    title = (
        f"{escape(arm.arm)}: {importance.split}.{importance.metric} {_number(arm.value)} at the {importance.at} epoch, "
        f"{arm.n} replicates; how much worse without the column ({importance.repeats} permutations)"
    )
    table = Table("column", "importance", "interval", "worse in", "", title=title)
    means = [one.mean or 0.0 for one in arm.columns]
    for one, mean in zip(arm.columns, means, strict=True):
        spread = "" if one.std is None else f" ± {one.std:.4g}"
        interval = "" if one.ci is None else f"{one.ci[0]:+.4g} to {one.ci[1]:+.4g}"
        share = "" if one.positive is None else f"{round(one.positive * one.n)} of {one.n}"
        bar = _bar(mean, max(means))
        table.add_row(escape(one.column), f"{mean:+.4g}{spread}", interval, share, bar)
    return table


def importance_note(importance: StudyImportance) -> str:
    """Return which runs the importance covers."""
    note = f"{importance.runs} runs measured; spread and intervals over {', '.join(importance.generalizes_over)}."
    if importance.left_out:
        note += f" {importance.left_out} replicates are left out; --runs includes more."
    if importance.pending:
        note += f" {importance.pending} runs could not be measured in time; use fewer runs or repeats."
    return note


def _bar(value: float, largest: float) -> str:
    return "█" * (round(BAR_WIDTH * value / largest) if value > 0 and largest > 0 else 0)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
